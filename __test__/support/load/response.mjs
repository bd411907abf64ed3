// HTTP/1.1 responses, read strictly: whoever counts cut answers must know exactly where each one ends.
import { Loss } from './counters.mjs'

/**
 * @typedef {object} Response
 * @property {number} status
 * @property {string} body
 * @property {boolean} close  the sender will close the connection, or wants no more requests on it
 * @property {number | undefined} keepAliveMs  how long an idle connection is kept; undefined: not said
 */

/** Collects the bytes of one response. */
export class ResponseReader {
  #text = ''

  /** Whether any byte has come. */
  get begun() {
    return this.#text !== ''
  }

  /**
   * @param {Buffer} bytes
   * @returns {Response | undefined} the response once it is whole
   * @throws {Loss} `wrong` if this is no response, or if more follows
   */
  push(bytes) {
    this.#text += bytes.toString('latin1')
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const [statusLine = '', ...lines] = this.#text.slice(0, end).split('\r\n')
    const status = /^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]
    if (!status) throw new Loss('wrong', `not a status line: ${statusLine}`)
    const headers = new Map(lines.map(header))
    const rest = this.#text.slice(end + 4)
    const body = headers.get('transfer-encoding') === 'chunked' ? chunked(rest) : sized(rest, headers)
    if (body === undefined) return undefined
    const timeout = /timeout=(\d+)/.exec(headers.get('keep-alive') ?? '')?.[1]
    return {
      status: Number(status),
      body,
      close: /\bclose\b/i.test(headers.get('connection') ?? ''),
      keepAliveMs: timeout === undefined ? undefined : Number(timeout) * 1000,
    }
  }
}

/** @param {string} line @returns {[string, string]} */
function header(line) {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}

/** @param {string} rest @param {Map<string, string>} headers */
function sized(rest, headers) {
  const length = Number(headers.get('content-length') ?? Number.NaN)
  if (Number.isNaN(length)) throw new Loss('wrong', 'the answer says neither its length nor chunked')
  if (rest.length > length) throw new Loss('wrong', `more than one answer: ${rest.slice(length, length + 40)}`)
  return rest.length === length ? rest : undefined
}

/** @param {string} rest */
function chunked(rest) {
  let body = ''
  for (let at = 0; ; ) {
    const line = rest.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(rest.slice(at, line), 16)
    if (Number.isNaN(size)) throw new Loss('wrong', `not a chunk: ${rest.slice(at, at + 40)}`)
    const next = line + 2 + size + 2
    if (rest.length < next) return undefined
    if (rest.slice(next - 2, next) !== '\r\n')
      throw new Loss('wrong', `chunk without an end: ${rest.slice(line, next)}`)
    body += rest.slice(line + 2, next - 2)
    if (size === 0 && rest.length > next)
      throw new Loss('wrong', `more than one answer: ${rest.slice(next, next + 40)}`)
    if (size === 0) return body
    at = next
  }
}
