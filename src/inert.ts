/** Where Node's own means serve: listening without an engine, and close() of a server that the drain has closed already. */
import { Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import type { AddressInfo, Server } from 'node:net'
import type { Adopted } from './adopt'
import type { Wanted } from './listen-options'
import { closeListener, isServer } from './runtime'
import type { ListeningServer } from './types'

type NodeListen = (...args: unknown[]) => unknown

/** Listens as if there were no service; accepts at once. */
export async function listenByNode(
  server: ListeningServer,
  wanted: Wanted,
  own: NodeListen | undefined,
): Promise<void> {
  const { port, host, path, mode, backlog, ipv6Only } = wanted
  const listening = once(server, 'listening')
  if (server instanceof DatagramSocket) server.bind({ port, address: host })
  else {
    const options = path === undefined ? { port, host, backlog, ipv6Only } : { path, backlog }
    ;(own ?? (server.listen as NodeListen)).call(server, options)
    // A named pipe of Windows has no mode.
    const moded = path !== undefined && mode !== undefined && process.platform !== 'win32'
    if (moded && server.listening) chmodSync(path, mode)
  }
  await listening
}

/** A listener that Node opened. `closed` is called when the application closes it. */
export function listensByNode(server: ListeningServer, closed: () => void): Adopted {
  server.once('close', closed)
  return {
    listening: true,
    address: server.address() as AddressInfo | string,
    start() {},
    stop() {
      server.removeListener('close', closed)
      if (isServer(server)) closeListener(server)
    },
    end() {},
  }
}

/**
 * The drain stops the listener before the application does. A close() that comes after that, as signal handlers have it,
 * finds the listener closed: it shall not cut idle connections, which the drain still serves, nor report an error.
 */
export function joinDrain(server: Server): void {
  let ended = false
  server.once('close', () => {
    ended = true
  })
  server.close = (callback?: (error?: Error) => void) => {
    if (callback !== undefined) {
      if (ended) process.nextTick(callback)
      else server.once('close', () => callback())
    }
    return server
  }
}

/** There is no drain after all. */
export function leaveDrain(server: Server): void {
  delete (server as Partial<Server>).close
}
