// UDP echo: each datagram is answered, or it is lost. Nothing is sent twice.
import dgram from 'node:dgram'
import { once } from 'node:events'
import { verify } from './clients.mjs'
import { Loss } from './counters.mjs'

const DEADLINE_MS = 5_000

export const UDP_KINDS = /** @type {const} @satisfies {Record<string, import('./clients.mjs').Kind>} */ ({
  datagrams: { count: 16, route: 'echo', thinkMs: [5, 30], keepAlive: true },
})

export class UdpClient {
  #load
  #name
  #kind

  /** @param {import('./load.mjs').Load} load @param {string} name @param {import('./clients.mjs').Kind} kind */
  constructor(load, name, kind) {
    this.#load = load
    this.#name = name
    this.#kind = kind
  }

  async run() {
    const { target, stopping } = this.#load
    const [least, most] = this.#kind.thinkMs
    const socket = dgram.createSocket('udp4')
    socket.connect(Number(target.port), target.host)
    await once(socket, 'connect')
    for (let sent = 0; !stopping.aborted; sent++) {
      const token = `${this.#name}-${sent}`
      try {
        this.#load.answered(verify(await ask(socket, token), token, 'echo'))
      } catch (error) {
        if (!(error instanceof Loss)) throw error
        this.#load.lost(error, this.#name)
      }
      await this.#load.pause(least + Math.random() * (most - least))
    }
    socket.close()
  }
}

/** @param {dgram.Socket} socket @param {string} token @returns {Promise<string>} */
function ask(socket, token) {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      socket.off('message', answer).off('error', refused)
    }
    /** @param {Buffer} message */
    const answer = (message) => {
      done()
      resolve(message.toString())
    }
    /** @param {Error} error */
    const refused = (error) => {
      done()
      reject(new Loss('refused', error.message))
    }
    const timer = setTimeout(() => {
      done()
      reject(new Loss('unanswered', `no answer to ${token} within ${DEADLINE_MS} ms`))
    }, DEADLINE_MS)
    socket.on('message', answer).on('error', refused)
    socket.send(token)
  })
}
