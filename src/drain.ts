/**
 * Ends the connections of servers that accept no more, without a client losing anything: what is in flight is
 * answered, what is idle is told or lives out what it was promised, and what is the application's (upgraded and raw
 * sockets) is left to it. Only the deadline cuts, and it counts what it cuts.
 */
import type { ServerHttp2Session } from 'node:http2'
import type { Server, Socket } from 'node:net'
import type { Connections } from './connections'
import { announceClose, isFresh, isIdle } from './http'
import { BUN } from './runtime'

export interface DrainHow {
  reason: 'restart' | 'shutdown'
  /** A developer's Ctrl-C: idle connections end at once. */
  immediate: boolean
  /** Aborted when the time is over; what is left then is destroyed. */
  deadline: AbortSignal
}

/** How long a connection without a request yet is waited for when the server does not say: Node's keepAliveTimeout. */
const GRACE_MS = 5_000

interface HttpServer extends Server {
  keepAliveTimeout?: number
  closeIdleConnections?(): void
}

/** Resolves, never rejects, with the number of connections that had to be destroyed. */
export async function drainConnections(all: Iterable<Connections>, how: DrainHow): Promise<{ cut: number }> {
  const drained = [...all].map((connections) => drainOne(connections, how))
  const cuts = await Promise.all(drained)
  return { cut: cuts.reduce((sum, cut) => sum + cut, 0) }
}

function drainOne(connections: Connections, how: DrainHow): Promise<number> {
  const { server, sockets, sessions } = connections
  const timers = new Set<NodeJS.Timeout>()
  if (isHttp(server)) {
    announceClose(server)
    const watch = (socket: Socket): void => waitForRequest(server, socket, how.immediate, timers)
    connections.onSocket = watch
    for (const socket of connections.http()) watch(socket)
    if (how.immediate) endIdle(connections)
  }
  connections.onSession = (session) => endSession(server, session, how.immediate, timers)
  for (const session of sessions) connections.onSession(session)

  return new Promise((resolve) => {
    const finish = (cut: number): void => {
      for (const timer of timers) clearTimeout(timer)
      connections.onEmpty = connections.onSocket = connections.onSession = null
      how.deadline.removeEventListener('abort', expire)
      resolve(cut)
    }
    const expire = (): void => finish(connections.destroy())
    connections.onEmpty = () => finish(0)
    if (sockets.size === 0) finish(0)
    else if (how.deadline.aborted) expire()
    else how.deadline.addEventListener('abort', expire, { once: true })
  })
}

/** Http, https, and http2 with allowHTTP1: whatever has Node's HTTP/1 parser on its sockets. */
function isHttp(server: HttpServer): boolean {
  return 'headersTimeout' in server
}

/**
 * Node ends an idle connection when its keepAliveTimeout is over, unless no request came on it ever, and unless the
 * server has none (http2 with allowHTTP1 before Node 22). These are waited for here. Bun ends all of them by itself.
 */
function waitForRequest(server: HttpServer, socket: Socket, immediate: boolean, timers: Set<NodeJS.Timeout>): void {
  if (BUN && !immediate) return
  const unlimited = server.keepAliveTimeout === undefined
  if (!isFresh(socket) && !(unlimited && isIdle(socket))) return
  const { bytesRead } = socket
  const timeout = immediate ? 0 : (server.keepAliveTimeout ?? GRACE_MS)
  // 0 is Node's word for no limit: then only the deadline ends it.
  if (timeout === 0 && !immediate) return
  const timer = setTimeout(() => {
    timers.delete(timer)
    if (socket.bytesRead === bytesRead) socket.destroy()
  }, timeout)
  timers.add(timer)
}

function endIdle(connections: Connections): void {
  for (const socket of connections.http()) if (isIdle(socket) && !isFresh(socket)) socket.destroy()
}

/**
 * GOAWAY with the last stream that was seen: those in flight finish, and a client knows that whatever it sent later was
 * not processed and may be sent again. A session that had no stream yet gets its first one answered.
 */
function endSession(
  server: HttpServer,
  session: ServerHttp2Session,
  immediate: boolean,
  timers: Set<NodeJS.Timeout>,
): void {
  if (immediate || (session.state.lastProcStreamID ?? 0) > 0) {
    session.close()
    return
  }
  const close = (): void => {
    timers.delete(timer)
    clearTimeout(timer)
    session.close()
  }
  const timer = setTimeout(close, server.keepAliveTimeout || GRACE_MS)
  timers.add(timer)
  // Not at once: streams that arrived together with the first are to be seen, too.
  session.once('stream', () => setImmediate(close))
  session.once('close', close)
}
