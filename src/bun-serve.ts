/**
 * `Bun.serve` as a listener of the service. Bun opens the server at a port of its own, whose socket is then replaced by
 * the claimed one (see `bun-adopt`). While draining, every response not begun yet says `Connection: close`; what is idle
 * lives out Bun's `idleTimeout`, and so do folders, HTML bundles and HTTP/2 (which Bun then tells by GOAWAY), whose responses
 * do not say it; `stop()` comes last, for it would end what is idle.
 */
import { type AddressInfo, isIPv6 } from 'node:net'
import { type Claimed, expected } from './address'
import type { Adopted } from './adopt'
import { override, refused } from './bun-adopt'
import { closingHandlers, hasFixed, type Options } from './bun-closing'
import { deferred } from './deferred'
import type { DrainHow } from './drain'
import { messageOf, ShellflipError } from './errors'
import type { ForeignServer } from './foreign'
import { closeDescriptor, requireNative } from './native'
import type { Watched } from './native/binding.cjs'

/** The part of Bun's server that is used here. */
export interface BunServer {
  readonly port?: number
  readonly hostname?: string
  readonly url: URL
  readonly pendingRequests: number
  readonly pendingWebSockets: number
  stop(closeActiveConnections?: boolean): Promise<void>
  reload(options: object): BunServer
  fetch(request: Request | string): Response | Promise<Response>
  upgrade(request: Request, options?: { headers?: unknown; data?: unknown }): boolean
  publish(topic: string, data: string | ArrayBufferView | ArrayBuffer, compress?: boolean): number
  requestIP(request: Request): { address: string; family: string; port: number } | null
  timeout(request: Request, seconds: number): void
  ref(): void
  unref(): void
}

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
    const { address } = server as { address?: AddressInfo | string | null }
    return {
      listening: true,
      address: address ?? { address: server.hostname ?? '', family: 'IPv4', port: server.port ?? 0 },
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
    override(server, seenAs(where, this.#options, server))
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
    if (hasFixed(this.#latest.routes)) server.reload(this.#latest)
    if (immediate) closeIdle(server)
    for (let left = this.#left(); left > 0; left = this.#left()) {
      if (deadline.aborted) {
        void stopOf(server)(true)
        return { cut: left }
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
    return { cut: 0 }
  }

  counts(): { connections: number; inFlight: number } {
    return { connections: this.#watched?.connections() ?? 0, inFlight: this.#server?.pendingRequests ?? 0 }
  }

  /** Without a hold on the socket (inert) only requests and WebSockets are known of. */
  #left(): number {
    const { pendingRequests, pendingWebSockets } = this.server
    return this.#watched?.connections() ?? pendingRequests + pendingWebSockets
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
    const closing = (given: Options): Options => closingHandlers(given, () => this.#draining)
    const server = bunServe(closing(options))
    this.#server = server
    const { reload } = server
    override(server, {
      reload: (changed: Options) => {
        this.#latest = changed
        return reload.call(server, closing(changed))
      },
      // Bun's own would not call the stop() that is put over its.
      [Symbol.dispose]: () => void server.stop(true),
    })
    return server
  }

  /** A stop() that comes while draining shall not cut what the drain still serves. */
  #joinDrain(server: BunServer): void {
    override(server, { stop: (active?: boolean) => (active ? stopOf(server)(true) : this.#ended.promise) })
  }

  #onStop(server: BunServer, closed: () => void): () => void {
    const release = override(server, {
      stop: (active?: boolean) => {
        release()
        closed()
        return stopOf(server)(active)
      },
    })
    return release
  }
}

/** Bun's own, whatever was put over it. */
function stopOf(server: BunServer): BunServer['stop'] {
  return (Object.getPrototypeOf(server) as BunServer).stop.bind(server)
}

function closeIdle(server: BunServer & { closeIdleConnections?(): number }): void {
  server.closeIdleConnections?.()
}

/** What the application is to see of where it listens: as Bun would tell it. */
function seenAs(where: AddressInfo | string, options: Options, server: BunServer): Record<string, unknown> {
  if (typeof where === 'string')
    return { port: undefined, hostname: undefined, url: new URL(`unix://${where}`), address: where }
  const hostname = typeof options.hostname === 'string' && options.hostname !== '' ? options.hostname : 'localhost'
  const host = isIPv6(hostname) ? `[${hostname}]` : hostname
  const url = new URL(`${server.url.protocol}//${host}:${where.port}/`)
  const { fetch } = server
  return {
    ...{ port: where.port, hostname, url, address: where },
    fetch: (request: Request | string) =>
      fetch.call(server, typeof request === 'string' ? new URL(request, url).href : request),
  }
}
