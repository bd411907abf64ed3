// As many requests as a server takes on keep-alive connections. It costs the machine far less than a server does: answers
// of a known length are counted by their bytes, not read.
import { once } from 'node:events'
import net from 'node:net'
import { processorMs } from './processor.mjs'

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

export class Hammer {
  #port
  #pid
  #length
  #sockets = []

  constructor(port, pid, length) {
    this.#port = port
    this.#pid = pid
    this.#length = length
  }

  /** @param {import('../../__test__/support/load/program.mjs').Program} program */
  static async at({ address, pid }) {
    const port = Number(new URL(address).port)
    return new Hammer(port, pid, await answerLength(port))
  }

  /**
   * Asks for so long, and waits for what is not answered by then, so that nothing of it falls into the next round.
   * @param {number} durationMs
   * @returns {Promise<{ perSecond: number, perProcessorSecond: number }>} requests, by the clock and by what the server
   *   has used of its processors
   */
  async run(durationMs) {
    await this.#connect()
    const usedMs = processorMs(this.#pid)
    const begun = performance.now()
    let answered = 0
    const asking = this.#sockets.map((socket) =>
      this.#ask(socket, () => {
        answered++
        return performance.now() - begun < durationMs
      }),
    )
    await Promise.all(asking)
    const elapsedMs = performance.now() - begun
    return {
      perSecond: (answered / elapsedMs) * 1000,
      perProcessorSecond: (answered / (processorMs(this.#pid) - usedMs)) * 1000,
    }
  }

  close() {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** On a machine that stood still for a while the server has closed what was idle. */
  async #connect() {
    const open = this.#sockets.filter((socket) => socket.readable && socket.writable)
    const missing = Array.from({ length: CONNECTIONS - open.length }, () => connected(this.#port))
    this.#sockets = [...open, ...(await Promise.all(missing))]
  }

  /** One request after the other, as long as `again` says so. */
  #ask(socket, again) {
    let due = this.#length
    return new Promise((resolve, reject) => {
      const stop = (error) => {
        socket.off('data', onData).off('close', onClose)
        if (error) reject(error)
        else resolve()
      }
      const onClose = () => stop(new Error('the server closed a connection'))
      const onData = (bytes) => {
        due -= bytes.length
        if (due > 0) return
        if (due < 0) stop(new Error('an answer was longer than the first one'))
        due = this.#length
        if (again()) socket.write(REQUEST)
        else stop()
      }
      socket.on('data', onData).on('close', onClose)
      socket.write(REQUEST)
    })
  }
}
