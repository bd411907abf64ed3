/**
 * The connections of one server. It costs two listeners and a slot per connection and nothing per request: what is in
 * flight is counted by looking, when somebody asks.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerHttp2Session } from 'node:http2'
import type { Server, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Slots } from './slots'

/** What Node's HTTP server keeps on a socket. */
export interface HttpSocket extends Socket {
  /** The response whose turn it is. */
  _httpMessage?: (ServerResponse & { req: IncomingMessage }) | null
  /** Gone once upgraded. `incoming` is the newest request it has parsed. */
  parser?: { incoming?: IncomingMessage | null } | null
}

const known = new WeakMap<Server, Connections>()

export class Connections {
  /** The connections as accepted. For TLS that is the transport, whose end is also the end of what runs over it. */
  readonly sockets = new Slots<Socket>()
  /** TLS sockets, once their handshake is done. */
  readonly secure = new Slots<TLSSocket>()
  readonly sessions = new Slots<ServerHttp2Session>()
  /** Set by the drain, which wants to see what is still arriving. */
  onSocket: ((socket: Socket) => void) | null = null
  onSession: ((session: ServerHttp2Session) => void) | null = null
  onEmpty: (() => void) | null = null

  /** The one tracker of that server. Whatever connected before it was first asked for is not seen. */
  static of(server: Server): Connections {
    const found = known.get(server)
    if (found !== undefined) return found
    const made = new Connections(server)
    known.set(server, made)
    return made
  }

  private constructor(readonly server: Server) {
    const { sockets, secure, sessions } = this
    server.on('connection', (socket: Socket) => {
      if (socket.destroyed) return
      const at = sockets.add(socket)
      socket.on('close', () => {
        sockets.remove(socket, at)
        if (sockets.size === 0) this.onEmpty?.()
      })
      this.onSocket?.(socket)
    })
    server.on('secureConnection', (socket: TLSSocket) => {
      if (socket.destroyed) return
      const at = secure.add(socket)
      socket.on('close', () => secure.remove(socket, at))
      this.onSocket?.(socket)
    })
    server.on('session', (session: ServerHttp2Session) => {
      const at = sessions.add(session)
      session.on('close', () => sessions.remove(session, at))
      this.onSession?.(session)
    })
  }

  /** Sockets on which HTTP/1 may run. */
  *http(): Generator<HttpSocket> {
    yield* this.sockets
    // Bun knows no transport beside the TLS socket.
    const transports = new Set<Socket>(this.sockets)
    for (const socket of this.secure) if (!transports.has(socket)) yield socket
  }

  /** In flight is what is being handled: HTTP/1 by connection (of pipelined requests the first counts), HTTP/2 by stream. */
  counts(): { connections: number; inFlight: number } {
    let inFlight = 0
    for (const socket of this.http()) if (socket._httpMessage != null) inFlight++
    for (const session of this.sessions) inFlight += streams(session)
    return { connections: this.sockets.size, inFlight }
  }

  /** Destroys what is left and says how many connections that were. */
  destroy(): number {
    const { size } = this.sockets
    for (const session of this.sessions) session.destroy()
    for (const socket of this.secure) socket.destroy()
    for (const socket of this.sockets) socket.destroy()
    return size
  }
}

/** Open streams of a session. Node has no public count; where its state cannot be found, 0. */
export function streams(session: ServerHttp2Session): number {
  const key = Object.getOwnPropertySymbols(session).find((symbol) => symbol.description === 'state')
  if (key === undefined) return 0
  const state = (session as unknown as Record<symbol, { streams?: Map<number, unknown> } | undefined>)[key]
  return state?.streams?.size ?? 0
}
