// One HTTP/1.1 connection on a raw socket: node:http's agent retries and hides what must be counted here.
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import { Loss } from './counters.mjs'
import { ResponseReader } from './response.mjs'

/** A good client stops using an idle connection this long before the server's promise ends. */
const MARGIN_MS = 1000

const CONNECT_DEADLINE_MS = 10_000

/**
 * How the connection ended: not yet; by us; by the server after `Connection: close`; by the server when its promised
 * keep-alive time was over; by the server against its promise; during a request (the request's Loss tells).
 * @typedef {'open' | 'ours' | 'announced' | 'expired' | 'unannounced' | 'lost'} End
 */

export class Connection {
  /** @type {End} */
  end = 'open'
  /** The newest TLS session ticket received. @type {Buffer | undefined} */
  ticket
  #socket
  /** @type {{ reader: ResponseReader, resolve: (response: import('./response.mjs').Response) => void,
   *           reject: (loss: Loss) => void, timer: NodeJS.Timeout } | undefined} */
  #pending
  /** @type {import('./response.mjs').Response | undefined} */
  #last
  #idleSince = performance.now()

  /** @param {net.Socket} socket  connected */
  constructor(socket) {
    this.#socket = socket
    socket.on('data', (bytes) => this.#data(bytes))
    socket.on('session', (ticket) => {
      this.ticket = ticket
    })
    socket.on('error', (error) => this.#ended(error))
    socket.on('end', () => this.#ended())
    socket.on('close', () => this.#ended())
  }

  /**
   * @param {import('./target.mjs').Target} target
   * @param {Buffer} [session]  a TLS session to resume
   * @returns {Promise<Connection>} rejects with a Loss `refused`
   */
  static open(target, session) {
    const { host, port, path, ca } = target
    const socket = ca
      ? tls.connect({ host, port, ca, servername: 'localhost', session })
      : net.connect(path ? { path } : { host, port: Number(port), noDelay: true })
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.destroy(new Error('no connection in time')), CONNECT_DEADLINE_MS)
      /** @param {Error} [error] */
      const refused = (error) => {
        clearTimeout(timer)
        socket.destroy()
        reject(new Loss('refused', error?.message ?? 'closed before it was open'))
      }
      socket.on('error', refused).on('end', refused)
      socket.once(ca ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer)
        socket.removeListener('error', refused).removeListener('end', refused)
        resolve(new Connection(socket))
      })
    })
  }

  /** Whether a TLS session was resumed. */
  get resumed() {
    return this.#socket instanceof tls.TLSSocket && this.#socket.isSessionReused()
  }

  /** Whether the server has said that it will close. */
  get announced() {
    return this.#last?.close ?? false
  }

  /** Whether a good client sends another request on this connection. */
  get reusable() {
    return this.end === 'open' && !this.announced && !this.#expired()
  }

  /**
   * @param {string} path
   * @param {{ close?: boolean, deadlineMs: number, upload?: import('./upload.mjs').Upload }} options
   * @returns {Promise<import('./response.mjs').Response>} rejects with a Loss
   */
  request(path, { close = false, deadlineMs, upload }) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#fail(new Loss('unanswered', `no whole answer within ${deadlineMs} ms`)),
        deadlineMs,
      )
      this.#pending = { reader: new ResponseReader(), resolve, reject, timer }
      if (this.end !== 'open') return this.#fail(new Loss('unanswered', 'the connection had ended'))
      const line = `${upload ? 'POST' : 'GET'} ${path} HTTP/1.1`
      const length = upload ? `content-length: ${upload.length}\r\n` : ''
      const connection = `connection: ${close ? 'close' : 'keep-alive'}`
      this.#socket.write(`${line}\r\nhost: localhost\r\n${length}${connection}\r\n\r\n`)
      if (upload) this.#upload(upload)
    })
  }

  /** Until all is sent, or the request is over. @param {import('./upload.mjs').Upload} upload */
  async #upload({ pieces, everyMs }) {
    const pending = this.#pending
    for (const piece of pieces) {
      if (this.#pending !== pending) return
      this.#socket.write(piece)
      await sleep(everyMs)
    }
  }

  close() {
    if (this.end === 'open') this.end = 'ours'
    this.#socket.end()
  }

  #expired() {
    const promisedMs = this.#last?.keepAliveMs
    return promisedMs !== undefined && performance.now() - this.#idleSince >= promisedMs - MARGIN_MS
  }

  /** @param {Buffer} bytes */
  #data(bytes) {
    if (!this.#pending) return this.end === 'open' ? this.#ended(new Error('bytes that nobody asked for')) : undefined
    try {
      const response = this.#pending.reader.push(bytes)
      if (response) this.#answered(response)
    } catch (error) {
      this.#fail(error instanceof Loss ? error : new Loss('wrong', String(error)))
    }
  }

  /** @param {import('./response.mjs').Response} response */
  #answered(response) {
    const pending = this.#pending
    this.#pending = undefined
    this.#last = response
    this.#idleSince = performance.now()
    clearTimeout(pending?.timer)
    pending?.resolve(response)
  }

  /** @param {Loss} loss */
  #fail(loss) {
    const pending = this.#pending
    this.#pending = undefined
    this.end = 'lost'
    clearTimeout(pending?.timer)
    pending?.reject(loss)
    this.#socket.destroy()
  }

  /** @param {Error & { code?: string }} [error] */
  #ended(error) {
    if (this.end !== 'open') return
    if (this.#pending) {
      const begun = this.#pending.reader.begun
      const kind = begun ? 'cut' : error ? 'reset' : 'unanswered'
      return this.#fail(new Loss(kind, error?.message ?? `closed ${begun ? 'within' : 'before'} the answer`))
    }
    this.end = this.announced ? 'announced' : this.#expired() ? 'expired' : 'unannounced'
    this.#socket.destroy()
  }
}
