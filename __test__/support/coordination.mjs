// The wire of the coordination socket, spoken by hand: well, badly, or not at all.
import { once } from 'node:events'
import net from 'node:net'

export const RESTART = '{"Request":"TryRestart"}'
export const STOP = '{"Request":"Stop"}'
export const STATUS = '{"Request":"Status"}'

/** Length and body, as the crate frames them. `length` may lie. */
export function frame(body, length = Buffer.byteLength(body)) {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(length)
  return Buffer.concat([head, Buffer.from(body)])
}

/**
 * Connects, retrying while the service's queue is full. The connection's errors are swallowed: being cut off is what
 * these clients expect.
 */
export async function connect(path) {
  for (;;) {
    const socket = net.connect({ path, allowHalfOpen: true })
    try {
      await once(socket, 'connect')
      return socket.on('error', () => {})
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
      await new Promise(setImmediate)
    }
  }
}

/** All that the other side says until it closes. */
export async function rest(socket) {
  const chunks = []
  socket.on('data', (chunk) => chunks.push(chunk))
  if (!socket.closed) await new Promise((resolve) => socket.once('end', resolve).once('close', resolve))
  socket.destroy()
  return Buffer.concat(chunks)
}

/** Asks one question and resolves with the answer's JSON; null if the service closed instead. */
export async function ask(path, body) {
  const socket = await connect(path)
  socket.write(frame(body))
  const said = await rest(socket)
  return said.length > 4 ? JSON.parse(said.subarray(4).toString()) : null
}
