// One HTTP/2 session, with the face of http1.mjs's Connection. A GOAWAY announces the close.
import http2 from 'node:http2'
import { Loss } from './counters.mjs'

const CONNECT_DEADLINE_MS = 10_000

/** The server refused the stream without touching it: safe to send again on another connection (RFC 9113, 8.7). */
export class NotProcessed extends Error {}

export class Session {
  /** @type {import('./http1.mjs').End} */
  end = 'open'
  /** @type {Buffer | undefined} */
  ticket
  resumed = false
  /** Whether a GOAWAY has come. */
  announced = false
  #session
  #streams = 0

  /** @param {http2.ClientHttp2Session} session  connected */
  constructor(session) {
    this.#session = session
    session.on('goaway', () => {
      this.announced = true
    })
    session.on('error', () => this.#ended())
    session.on('close', () => this.#ended())
  }

  /**
   * @param {import('./target.mjs').Target} target
   * @returns {Promise<Session>} rejects with a Loss `refused`
   */
  static open({ host, port, ca }) {
    const session = http2.connect(`https://${host}:${port}`, { ca, servername: 'localhost' })
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => session.destroy(new Error('no connection in time')), CONNECT_DEADLINE_MS)
      /** @param {Error} [error] */
      const refused = (error) => {
        clearTimeout(timer)
        session.destroy()
        reject(new Loss('refused', error?.message ?? 'closed before it was open'))
      }
      session.on('error', refused).on('close', refused)
      // With the settings the server has begun to speak HTTP/2: 'connect' alone is the TLS handshake.
      session.once('remoteSettings', () => {
        clearTimeout(timer)
        session.removeListener('error', refused).removeListener('close', refused)
        resolve(new Session(session))
      })
    })
  }

  get reusable() {
    return this.end === 'open' && !this.announced && !this.#session.closed
  }

  /**
   * @param {string} path
   * @param {{ deadlineMs: number }} options
   * @returns {Promise<import('./response.mjs').Response>} rejects with a Loss, or with NotProcessed
   */
  request(path, { deadlineMs }) {
    return new Promise((resolve, reject) => {
      if (!this.reusable) return reject(new NotProcessed())
      const stream = this.#session.request({ ':path': path })
      let status = 0
      let body = ''
      let hung = false
      let ended = false
      this.#streams++
      const timer = setTimeout(() => {
        hung = true
        stream.close(http2.constants.NGHTTP2_CANCEL)
      }, deadlineMs)
      stream.setEncoding('utf8')
      stream.on('response', (headers) => {
        status = Number(headers[':status'])
      })
      stream.on('data', (text) => {
        body += text
      })
      stream.on('end', () => {
        ended = true
      })
      stream.on('error', () => {})
      stream.on('close', () => {
        clearTimeout(timer)
        this.#streams--
        if (hung) return reject(new Loss('unanswered', `no whole answer within ${deadlineMs} ms`))
        if (stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM) return reject(new NotProcessed())
        const whole = ended && stream.rstCode === http2.constants.NGHTTP2_NO_ERROR
        if (whole && status) return resolve({ status, body, close: this.announced, keepAliveMs: undefined })
        reject(new Loss(status ? 'cut' : 'reset', `stream closed with code ${stream.rstCode}, ${body.length} bytes`))
      })
      stream.end()
    })
  }

  close() {
    if (this.end === 'open') this.end = 'ours'
    if (this.#streams === 0) this.#session.destroy()
    else this.#session.close()
  }

  #ended() {
    if (this.end !== 'open') return
    this.end = this.announced ? 'announced' : this.#streams > 0 ? 'lost' : 'unannounced'
  }
}
