/**
 * `Bun.serve` as a listener of the service. Bun opens the server at a port of its own, whose socket is then replaced by
 * the claimed one (see `bun-adopt`). While draining, every response not begun yet says `Connection: close`; what is idle
 * lives out Bun's `idleTimeout`; `stop()` comes last, for it would end what is idle.
 */
import { type Claimed, expected } from './address'
import type { Adopted } from './adopt'
import { override, refused } from './bun-adopt'
import { deferred } from './deferred'
import type { DrainHow } from './drain'
import { messageOf, ShellflipError } from './errors'
import type { ForeignServer } from './listen'
import { closeDescriptor, requireNative } from './native'
import type { Watched } from './native/binding.cjs'

/** The part of Bun's server that is used here. */
export interface BunServer {
  readonly port?: number
  readonly hostname?: string
  readonly url: URL
  readonly pendingRequests: number
  stop(closeActiveConnections?: boolean): Promise<void>
  reload(options: object): unknown
  closeIdleConnections?(): void
}

type Options = Record<string, unknown>
type Handler = (this: unknown, ...args: unknown[]) => unknown

/** How often the drain looks whether the connections are gone: Bun tells of requests only. */
const LOOK_EVERY_MS = 25

/** `Bun.serve`, if this is Bun. */
export function bunServe(options: Options): BunServer {
  const { Bun } = globalThis as unknown as { Bun: { serve(options: Options): BunServer } }
  return Bun.serve(options)
}

export class ServedByBun implements ForeignServer {
  readonly #options: Options
  #server: BunServer | undefined
  #watched: Watched | undefined
  #draining = false
  /** The handlers in use. */
  #latest: Options
  readonly #ended = deferred<void>()

  constructor(options: Options) {
    this.#options = options
    this.#latest = options
  }

  get server(): BunServer {
    if (this.#server === undefined) throw new ShellflipError('ERR_SHELLFLIP_LISTENER', 'serve: Bun opened no server')
    return this.#server
  }

  /** Opened by Bun's own means, for an inert service. */
  open(closed: () => void): Adopted {
    const server = this.#serve(this.#options)
    const release = this.#onStop(server, closed)
    const address = { address: server.hostname ?? '', family: 'IPv4', port: server.port ?? 0 }
    const { unix } = this.#options
    return {
      listening: true,
      address: typeof unix === 'string' ? unix : address,
      start() {},
      stop() {
        release()
        void server.stop()
      },
      end() {},
    }
  }

  adopt(claimed: Claimed, closed: () => void): Adopted {
    const watched = this.#take(claimed)
    const { server } = this
    const where = expected(claimed)
    const { port, hostname } = this.#seenAs(claimed)
    const url = urlOf(where, 'tls' in this.#options && Boolean(this.#options.tls))
    override(server, { port, hostname, url, address: typeof where === 'string' ? undefined : where })
    const release = this.#onStop(server, closed)
    return {
      listening: true,
      address: where,
      start() {
        try {
          watched.resume()
        } catch (error) {
          throw new ShellflipError('ERR_SHELLFLIP_LISTENER', `serve: ${messageOf(error)}`, { cause: error })
        }
      },
      stop: () => {
        release()
        watched.letGo()
        this.#joinDrain(server)
      },
      end: () => {
        delete (server as Partial<BunServer>).stop
        void server.stop(true).then(() => this.#ended.resolve())
      },
    }
  }

  async drain({ deadline, immediate }: DrainHow): Promise<{ cut: number }> {
    const { server } = this
    this.#draining = true
    if (hasResponses(this.#latest.routes)) server.reload(this.#latest)
    if (immediate) server.closeIdleConnections?.()
    for (let left = this.#left(); left > 0; left = this.#left()) {
      if (deadline.aborted) {
        void server.stop(true)
        return { cut: left }
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
    return { cut: 0 }
  }

  counts(): { connections: number; inFlight: number } {
    return { connections: this.#watched?.connections() ?? 0, inFlight: this.#server?.pendingRequests ?? 0 }
  }

  /** Without a hold on the socket (inert) only requests are known of. */
  #left(): number {
    return this.#watched?.connections() ?? this.server.pendingRequests
  }

  #take({ fd }: Claimed): Watched {
    let opened: BunServer | undefined
    try {
      if (this.#watched === undefined) {
        const { unix: _unix, reusePort: _reusePort, ...rest } = this.#options
        opened = this.#serve({ ...rest, hostname: '127.0.0.1', port: 0 })
        this.#watched = requireNative().Watched.placeholder(opened.port ?? 0)
      }
      this.#draining = false
      this.#watched.take(fd)
      return this.#watched
    } catch (error) {
      void opened?.stop(true)
      // What Bun itself finds wrong with the options is told as Bun tells it.
      throw opened === undefined ? error : refused(error)
    } finally {
      closeDescriptor(fd)
    }
  }

  #serve(options: Options): BunServer {
    const server = bunServe(this.#closing(options))
    this.#server = server
    const { reload } = server
    override(server, {
      reload: (changed: Options) => {
        this.#latest = changed
        return reload.call(server, this.#closing(changed))
      },
    })
    return server
  }

  /** A stop() that comes while draining shall not cut what the drain still serves. */
  #joinDrain(server: BunServer): void {
    const { stop } = server
    override(server, { stop: (active?: boolean) => (active ? stop.call(server, true) : this.#ended.promise) })
  }

  #onStop(server: BunServer, closed: () => void): () => void {
    const { stop } = server
    const release = override(server, {
      stop: (...args: [boolean?]) => {
        release()
        closed()
        return stop.apply(server, args)
      },
    })
    return release
  }

  /** What the application is to see of where it listens. */
  #seenAs({ address }: Claimed): { port?: number; hostname?: string } {
    if (address.path !== undefined) return {}
    const { hostname } = this.#options
    return { port: address.port, hostname: typeof hostname === 'string' ? hostname : address.host }
  }

  /** The same handlers, whose responses say `Connection: close` while draining. */
  #closing(options: Options): Options {
    const { fetch, routes } = options
    const changed = { ...options }
    if (typeof fetch === 'function') changed.fetch = this.#wrap(fetch as Handler)
    if (typeof routes === 'object' && routes !== null) changed.routes = this.#wrapRoutes(routes as Options)
    if (typeof options.error === 'function') changed.error = this.#wrap(options.error as Handler)
    return changed
  }

  #wrapRoutes(routes: Options): Options {
    const wrap = (value: unknown): unknown => {
      if (typeof value === 'function') return this.#wrap(value as Handler)
      if (value instanceof Response && this.#draining) return announceClose(value.clone())
      if (!isPlain(value)) return value
      return Object.fromEntries(Object.entries(value).map(([method, each]) => [method, wrap(each)]))
    }
    return Object.fromEntries(Object.entries(routes).map(([path, value]) => [path, wrap(value)]))
  }

  #wrap(handler: Handler): Handler {
    const close = (answer: unknown): unknown => (this.#draining ? announceClose(answer) : answer)
    return function (...args) {
      const answer = handler.apply(this, args)
      return answer instanceof Promise ? answer.then(close) : close(answer)
    }
  }
}

function announceClose(answer: unknown): unknown {
  if (!(answer instanceof Response) || answer.status === 101) return answer
  try {
    answer.headers.set('Connection', 'close')
    return answer
  } catch {
    // Immutable: one that came from elsewhere.
    const { body, status, statusText } = answer
    const headers = new Headers(answer.headers)
    headers.set('Connection', 'close')
    return new Response(body, { status, statusText, headers })
  }
}

/** Whether some route is a fixed response, which Bun gives without asking anybody. */
function hasResponses(routes: unknown): boolean {
  return isPlain(routes) && Object.values(routes).some((value) => value instanceof Response || hasResponses(value))
}

/** Methods of a route, and not a Response, a file or a bundle. */
function isPlain(value: unknown): value is Options {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function urlOf(where: ReturnType<typeof expected>, secure: boolean): URL {
  if (typeof where === 'string') return new URL(`unix://${where}`)
  const host = where.family === 'IPv6' ? `[${where.address}]` : where.address
  return new URL(`${secure ? 'https' : 'http'}://${host}:${where.port}/`)
}
