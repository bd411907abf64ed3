/** `@shellflip/node/bun`: `Bun.serve` as a listener of a service. */
import { isIP } from 'node:net'
import { type BunServer, ServedByBun } from './bun-serve'
import { invalidArgument, unsupported } from './errors'
import type { Wanted } from './listen-options'
import { BUN } from './runtime'
import { listenersOf } from './service'
import type { Service } from './types'

export type { BunServer } from './bun-serve'

/** What `Bun.serve` takes, where the types of Bun are not installed. */
export interface BunServeOptions {
  fetch?(request: Request, server: BunServer): Response | undefined | Promise<Response | undefined>
  [option: string]: unknown
}

// Bun's own types. Where they are not installed (`@types/bun`) these are any, which is an error by itself: hence the comments,
// which the compiler keeps in the .d.ts in this form.
// biome-ignore lint/suspicious/noTsIgnore: it is an error only where the types of Bun are not
/** @ts-ignore */
type OptionsOfBun<Data, Path extends string> = import('bun').Serve.Options<Data, Path>
// biome-ignore lint/suspicious/noTsIgnore: as above
/** @ts-ignore */
type ServerOfBun<Data> = import('bun').Server<Data>

/** What the next generation claims the listener by (default: its address). */
interface Named {
  name?: string
}

/** Whatever is not known has every key. */
type Typed<WithTypesOfBun, Without> = string extends keyof ServerOfBun<undefined> ? Without : WithTypesOfBun

/** `Bun.serve` with a service in front, and as generic: what a route's path names is in `request.params`. */
type ServeOfBun = <Data = undefined, Path extends string = never>(
  service: AnyService,
  options: OptionsOfBun<Data, Path> & Named,
) => ServerOfBun<Data>

type ServeUntyped = (service: AnyService, options: BunServeOptions & Named) => BunServer

type AnyService = Service<never> | Service

/** The options of `Bun.serve`, and `name`. `Data` is that of its WebSockets. */
export type ServeOptions<Data = undefined, Path extends string = string> = Typed<
  OptionsOfBun<Data, Path>,
  BunServeOptions
> &
  Named

/**
 * As `Bun.serve(options)`, with the listener handed from generation to generation. Returns Bun's server: `url`, `port` and
 * `hostname` are those asked for, requests are served once the service is ready, and the drain ends it.
 *
 * `hostname` wants to be an IP address or `localhost` (127.0.0.1); `fd` and `reusePort` have no place here. Throws
 * INVALID_ARG; UNSUPPORTED outside Bun, with `http3`, and where Bun keeps its listeners in another way than expected; what
 * `service.listen` rejects with; and what Bun itself throws.
 */
export const serve = serveBun as Typed<ServeOfBun, ServeUntyped>

function serveBun(service: AnyService, options: BunServeOptions & Named): unknown {
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
  return served.server
}

/** Where Bun would listen with these options. */
function wantedByBun(name: unknown, options: Record<string, unknown>): Wanted {
  const { unix, hostname, port, ipv6Only, http3 } = options
  if (name !== undefined && (typeof name !== 'string' || name === '')) {
    throw invalidArgument('serve: the option name wants a string')
  }
  if (http3) {
    throw unsupported(
      'serve: HTTP/3 has a UDP port of its own inside Bun, which cannot be handed over: leave http3 out, or leave it to ' +
        'a proxy in front',
    )
  }
  const shared = { name: name as string | undefined, backlog: 0, ipv6Only: ipv6Only === true }
  if (typeof unix === 'string' && unix !== '') return { ...shared, port: 0, path: unix }
  return { ...shared, port: portOf(port), host: hostOf(hostname) }
}

/** Undefined: every address, of IPv6 too where there is one, as with Bun. */
function hostOf(hostname: unknown): string | undefined {
  if (hostname === undefined || hostname === '') return undefined
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
