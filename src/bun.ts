/** `@shellflip/node/bun`: `Bun.serve` as a listener of a service. */
import { isIP } from 'node:net'
import { type BunServer, ServedByBun } from './bun-serve'
import { invalidArgument, unsupported } from './errors'
import type { Wanted } from './listen-options'
import { BUN } from './runtime'
import { listenersOf } from './service'
import type { Service } from './types'

export type { BunServer } from './bun-serve'

/** What `Bun.serve` takes where the types of Bun are not installed. */
export interface BunServeOptions {
  fetch?(request: Request, server: BunServer): Response | Promise<Response> | undefined
  [option: string]: unknown
}

interface Loose {
  serve(options: BunServeOptions): BunServer
}

/** Bun's own types where they are installed (`@types/bun`), else a few of them. */
type Bun = typeof globalThis extends { Bun: infer B extends Loose } ? B : Loose
type Options = Parameters<Bun['serve']>[0]

/** The options of `Bun.serve`, and what the next generation claims the listener by (default: its address). */
export type ServeOptions = Options & { name?: string }

/**
 * As `Bun.serve(options)`, with the listener handed from generation to generation. Returns Bun's server: `url`, `port` and
 * `hostname` are those asked for, requests are served once the service is ready, and the drain ends it.
 *
 * `hostname` wants to be an IP address or `localhost` (127.0.0.1); `fd` and `reusePort` have no place here. Throws
 * INVALID_ARG; UNSUPPORTED outside Bun, and where Bun keeps its listeners in another way than expected; what
 * `service.listen` rejects with; and what Bun itself throws.
 */
export function serve(service: Service<never> | Service, options: ServeOptions): ReturnType<Bun['serve']> {
  if (!BUN) throw unsupported('serve: this is not Bun: give service.listen() a server of node:http')
  if (typeof options !== 'object' || options === null) throw invalidArgument('serve: it wants the options of Bun.serve')
  const { name, ...given } = options as Record<string, unknown>
  const wanted = wantedByBun(name, given)
  const { listeners, inert } = listenersOf(service)
  const served = new ServedByBun(given)
  if (inert) {
    const adopted = served.open(() => listeners.forget(served))
    listeners.addForeign(served, adopted, wanted.name)
  } else {
    listeners.listenForeign(served, wanted)
  }
  return served.server as ReturnType<Bun['serve']>
}

/** Where Bun would listen with these options. */
function wantedByBun(name: unknown, options: Record<string, unknown>): Wanted {
  const { unix, hostname, port, ipv6Only } = options
  if (name !== undefined && (typeof name !== 'string' || name === '')) {
    throw invalidArgument('serve: the option name wants a string')
  }
  const shared = { name: name as string | undefined, backlog: 0, ipv6Only: ipv6Only === true }
  if (typeof unix === 'string' && unix !== '') return { ...shared, port: 0, path: unix }
  return { ...shared, port: portOf(port), host: hostOf(hostname) }
}

function hostOf(hostname: unknown): string {
  if (hostname === undefined || hostname === '') return '0.0.0.0'
  if (hostname === 'localhost') return '127.0.0.1'
  const host = typeof hostname === 'string' ? hostname.replace(/^\[(.*)\]$/, '$1') : ''
  if (isIP(host.replace(/%.*$/, '')) === 0) {
    throw invalidArgument(`serve: hostname wants an IP address or localhost, not ${String(hostname)}`)
  }
  return host
}

/** Bun's default: $BUN_PORT, $PORT, $NODE_PORT, 3000. */
function portOf(given: unknown): number {
  const { BUN_PORT, PORT, NODE_PORT } = process.env
  const port = Number(given ?? BUN_PORT ?? PORT ?? NODE_PORT ?? 3000)
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port
  throw invalidArgument(`serve: port wants a number from 0 to 65535, not ${String(given)}`)
}
