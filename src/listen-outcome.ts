/** What listening comes to: its name, its outcome, and the errors that Node itself would give. */
import { Socket as DatagramSocket } from 'node:dgram'
import type { AddressInfo, Server } from 'node:net'
import { ShellflipError } from './errors'
import { BUN } from './runtime'
import type { ListeningServer } from './types'

/** The name of a listener that was given none. */
export function nameOf(server: object, address: AddressInfo | string): string {
  if (typeof address === 'string') return `unix:${address}`
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `${server instanceof DatagramSocket ? 'udp' : 'tcp'}:${host}:${address.port}`
}

/** Resolves as Node announces it; rejects with what Node found wrong with the descriptor. */
export function outcome(server: ListeningServer): Promise<AddressInfo | string> {
  // Bun has a dgram socket's address in the next turn only.
  if (server instanceof DatagramSocket && !BUN) return Promise.resolve(server.address())
  return new Promise((resolve, reject) => {
    const over = (): void => {
      server.removeListener('listening', listening).removeListener('error', failed).removeListener('close', closed)
    }
    // Bun gives this event arguments.
    const listening = (): void => {
      over()
      resolve(server.address() as AddressInfo | string)
    }
    const failed = (error: unknown): void => {
      over()
      reject(error)
    }
    const closed = (): void => failed(closedMeanwhile())
    server.once('listening', listening).once('error', failed).once('close', closed)
  })
}

/** Of a listen() that was overtaken. */
export function closedMeanwhile(): Error {
  return new ShellflipError('ERR_SHELLFLIP_LISTENER', 'listen: the application closed the server before it listened')
}

/** Node's own error for it. */
export function alreadyListening(): Error {
  const error = new Error('Listen method has been called more than once without closing.')
  return Object.assign(error, { code: 'ERR_SERVER_ALREADY_LISTEN' })
}

/** The option `signal` of `net.Server.listen`. */
export function closeOnAbort(server: Server, signal: AbortSignal): void {
  const close = (): void => void server.close()
  if (signal.aborted) process.nextTick(close)
  else signal.addEventListener('abort', close, { once: true })
}

/** Closed, by whomever. */
export function closeQuietly(socket: DatagramSocket): void {
  try {
    socket.close()
  } catch {
    // The application closed it.
  }
}
