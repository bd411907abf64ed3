// As many requests as a server takes on keep-alive connections. It costs the machine far less than a server does: answers
// of a known length are counted by their bytes, not read.
import { once } from 'node:events'
import net from 'node:net'

const CONNECTIONS = 32
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')

async function connected(port) {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** The length of one answer, head and body. */
async function answerLength(port) {
  const socket = await connected(port)
  socket.write(REQUEST)
  let text = ''
  for await (const bytes of socket) {
    text += bytes.toString('latin1')
    const body = text.indexOf('\r\n\r\n') + 4
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
    if (body > 3 && text.length >= body + length) break
  }
  return text.length
}

/** @param {number} port @param {number} durationMs @returns {Promise<number>} requests per second */
export async function hammer(port, durationMs) {
  const length = await answerLength(port)
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => connected(port)))
  let answered = 0
  for (const socket of sockets) {
    let due = length
    socket.on('data', (bytes) => {
      due -= bytes.length
      if (due > 0) return
      if (due < 0) throw new Error('an answer was longer than the first one')
      answered++
      due = length
      socket.write(REQUEST)
    })
  }
  const begun = performance.now()
  for (const socket of sockets) socket.write(REQUEST)
  await new Promise((resolve) => setTimeout(resolve, durationMs))
  const elapsedMs = performance.now() - begun
  for (const socket of sockets) socket.destroy()
  return (answered / elapsedMs) * 1000
}
