/**
 * HTTP/1 while draining: every response whose head is not written yet says `Connection: close`, unless the client has
 * already pipelined further requests behind it, for those are answered first. Nothing of this is in place, and nothing
 * costs anything, before the drain of a server begins.
 *
 * Three facts of Node decide the form. A response that says close ends the socket, and requests already parsed behind
 * it would be handled and never answered. The handler runs while the parser is still in the middle of what arrived, so
 * only in the next tick is it known which request is the last. And closing a socket with unread input makes the kernel
 * reset it, which can cost the client the response: a response to an upload still under way therefore says close, but the
 * socket is ended when the upload has been read.
 */
import type { EventEmitter } from 'node:events'
import { type IncomingMessage, OutgoingMessage, ServerResponse } from 'node:http'
import type { Server } from 'node:net'
import type { HttpSocket } from './connections'
import { BUN } from './runtime'

type Headers = Record<string, unknown> | unknown[] | undefined

/** The part of Node's `ServerResponse` on which this relies; the names are the same in Node 20, 22 and 24. */
interface Response extends ServerResponse {
  req: IncomingMessage
  _last: boolean
  _expect_continue: boolean
  _sent100: boolean
  _storeHeader(firstLine: string, headers: Headers): void
}

const closing = new WeakSet<Server>()
let installed = false

/** From now on the responses of this server announce the end of their connection. */
export function announceClose(server: Server): void {
  if (closing.has(server)) return
  closing.add(server)
  install()
  deferRequests(server)
}

/** Where all responses pass, however their head is written: `writeHead`, implicitly, wrapped by middleware or not. */
function install(): void {
  if (installed) return
  installed = true
  const prototype = ServerResponse.prototype as Response
  if (BUN) {
    installUnderBun(prototype)
    return
  }
  const store = prototype._storeHeader
  if (typeof store !== 'function') return
  prototype._storeHeader = function (firstLine, headers) {
    if (!mustClose(this)) return store.call(this, firstLine, headers)
    const announced = this.shouldKeepAlive
    store.call(this, firstLine, closingHeaders(this, headers))
    if (announced) linger(this)
  }
}

/**
 * Bun has no `_storeHeader`; there `writeHead` is called for every response. It ends the socket at once, so that a response
 * to an upload still under way leaves it to the next one to say close.
 */
function installUnderBun(prototype: Response): void {
  const { writeHead } = prototype
  prototype.writeHead = function (this: Response, status: number, ...rest: unknown[]) {
    const { 'content-length': length, 'transfer-encoding': chunked } = this.req.headers
    const uploading = (Number(length) > 0 || chunked !== undefined) && !this.req.complete
    if (status < 200 || this.headersSent || uploading || !mustClose(this)) {
      return Reflect.apply(writeHead, this, [status, ...rest])
    }
    const given = typeof rest.at(-1) === 'object' ? (rest.pop() as Headers) : undefined
    const { kept, connection } = withoutConnection(given)
    this.setHeader('Connection', closeToken([this.getHeader('connection'), connection]))
    return Reflect.apply(writeHead, this, [status, ...rest, kept.flat()])
  } as Response['writeHead']
}

function mustClose(response: Response): boolean {
  const socket: (HttpSocket & { server?: Server }) | null | undefined = response.req?.socket
  if (socket?.server === undefined || !closing.has(socket.server) || response.statusCode < 200) return false
  const newest = socket.parser?.incoming
  return newest == null || newest === response.req
}

/** The same headers with the connection's end in them. What else `Connection` lists, such as `upgrade`, stays listed. */
function closingHeaders(response: Response, headers: Headers): Headers {
  if (response.getHeaderNames().length > 0) {
    // Then `headers` is the response's own table.
    const value = closeToken(OutgoingMessage.prototype.getHeader.call(response, 'connection'))
    OutgoingMessage.prototype.setHeader.call(response, 'Connection', value)
    if (response.hasHeader('keep-alive')) OutgoingMessage.prototype.removeHeader.call(response, 'keep-alive')
    return headers
  }
  const { kept, connection } = withoutConnection(headers)
  return [...kept, ['Connection', closeToken(connection)]]
}

/** The headers that say nothing of the connection, and what the others list. */
function withoutConnection(headers: Headers): { kept: [unknown, unknown][]; connection: unknown[] } {
  const pairs = pairsOf(headers)
  return {
    kept: pairs.filter(([name]) => !isNamed(name, 'connection') && !isNamed(name, 'keep-alive')),
    connection: pairs.filter(([name]) => isNamed(name, 'connection')).map(([, value]) => value),
  }
}

/** Headers as Node takes them: an object, a flat list, a list of pairs. */
function pairsOf(headers: Headers): [unknown, unknown][] {
  if (headers === undefined || headers === null) return []
  if (!Array.isArray(headers)) return Object.entries(headers)
  if (Array.isArray(headers[0])) return headers as [unknown, unknown][]
  const pairs: [unknown, unknown][] = []
  for (let at = 0; at < headers.length; at += 2) pairs.push([headers[at], headers[at + 1]])
  return pairs
}

function isNamed(name: unknown, wanted: string): boolean {
  return typeof name === 'string' && name.toLowerCase() === wanted
}

function closeToken(value: unknown): string {
  const tokens = [value].flat(3).flatMap((part) => (typeof part === 'string' ? part.split(',') : []))
  const others = tokens
    .map((token) => token.trim())
    .filter((token) => token !== '' && !/^(close|keep-alive)$/i.test(token))
  return [...others, 'close'].join(', ')
}

/** Reads the rest of an upload before the connection ends. */
function linger(response: Response): void {
  const { req } = response
  // A client still waiting for `100 Continue` sends nothing more.
  if (!response._last || req.complete || (response._expect_continue && !response._sent100)) return
  response._last = false
  const { socket } = req
  const end = (): void => socket.destroySoon()
  response.once('finish', () => {
    if (req.complete || req.destroyed) end()
    else req.once('close', end)
  })
}

/** Hands requests to the application one tick later: by then the parser is through with what arrived together. */
function deferRequests(server: Server): void {
  const emitter: EventEmitter = server
  const { emit } = emitter
  emitter.emit = function (event, ...args: unknown[]) {
    const isRequest = event === 'request' || event === 'checkContinue' || event === 'checkExpectation'
    if (!isRequest || !(args[1] instanceof ServerResponse)) return emit.call(this, event, ...args)
    process.nextTick(() => emit.call(this, event, ...args))
    return true
  }
}

/** No request has come on it yet, not even a part of one. Bun counts no bytes: there it is one that shows no sign of one. */
export function isFresh(socket: HttpSocket): boolean {
  return socket.bytesRead === 0 && (!BUN || socket.parser == null)
}

/** It waits for the next request. */
export function isIdle(socket: HttpSocket): boolean {
  return socket._httpMessage == null && socket.parser != null && socket.parser.incoming == null
}
