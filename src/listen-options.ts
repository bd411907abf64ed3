/**
 * What `listen` was asked for, checked and put into one form: the options of `Service.listen`, and every overload of
 * `net.Server.listen` for servers under `manage()`. Pure: nothing here opens, resolves or claims anything.
 */
import { Socket as DatagramSocket } from 'node:dgram'
import { isIP } from 'node:net'
import { inspect } from 'node:util'
import { invalidArgument } from './errors'
import type { NativeListenRequest } from './native'

/** A checked request: `path`, or `port` with or without `host`. */
export interface Wanted {
  name?: string
  port: number
  host?: string
  path?: string
  mode?: number
  backlog: number
  ipv6Only: boolean
}

const KNOWN = new Set(['port', 'host', 'path', 'mode', 'backlog', 'ipv6Only', 'name', 'migrate'])

/** Checks what `Service.listen` was given. Throws INVALID_ARG naming the option, what it got and what it wants. */
export function wantedByOptions(given: unknown): Wanted {
  if (typeof given === 'number') return { port: port('port', given), backlog: 0, ipv6Only: false }
  if (typeof given !== 'object' || given === null) throw wrong('options', given, 'a port or an object')
  const options = given as Record<string, unknown>
  for (const key of Object.keys(options)) {
    if (!KNOWN.has(key)) throw invalidArgument(`listen: there is no option ${key}; known are ${[...KNOWN].join(', ')}`)
  }
  const path = options.path === undefined ? undefined : unixPath(options.path)
  if (path !== undefined && (options.port !== undefined || options.host !== undefined)) {
    throw invalidArgument('listen: path excludes port and host: give one or the other')
  }
  if (options.mode !== undefined && path === undefined) {
    throw invalidArgument('listen: mode is for unix sockets: give it together with path')
  }
  if (options.migrate !== undefined) boolean('migrate', options.migrate)
  return {
    name: options.name === undefined ? undefined : text('name', options.name),
    port: options.port === undefined ? 0 : port('port', options.port),
    host: options.host === undefined ? undefined : text('host', options.host),
    path,
    mode: options.mode === undefined ? undefined : integer('mode', options.mode, 0o777, 'permissions, 0 to 0o777'),
    backlog:
      options.backlog === undefined ? 0 : integer('backlog', options.backlog, 0x7fffffff, 'an integer, 0 or more'),
    ipv6Only: options.ipv6Only === undefined ? false : boolean('ipv6Only', options.ipv6Only),
  }
}

/** A call of `net.Server.listen` taken apart; `wanted` is null for what is not ours: a handle, a descriptor. */
export interface ListenCall {
  wanted: Wanted | null
  callback: (() => void) | null
  signal?: AbortSignal
  reusePort: boolean
}

/** Understands the overloads as Node does; null `wanted` too for arguments that Node itself must refuse. */
export function wantedByArguments(args: unknown[]): ListenCall {
  const last = args[args.length - 1]
  const callback = typeof last === 'function' ? (last as () => void) : null
  const first = args[0]
  const call: ListenCall = { wanted: null, callback, reusePort: false }
  const backlog = count(args[1]) || count(args[2])
  const given = typeof first === 'object' && first !== null
  const options: Record<string, unknown> = given ? { ...first } : positional(args)
  if (given && ('_handle' in first || 'handle' in first || 'fd' in first || !isPlain(first))) return call
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal)) return call
  call.signal = options.signal
  call.reusePort = options.reusePort === true
  const shared = { backlog: count(options.backlog) || backlog, ipv6Only: options.ipv6Only === true }
  const anyPort = args.length === 0 || typeof first === 'function' || options.port === null
  const number = anyPort || ('port' in options && options.port === undefined) ? 0 : options.port
  if (typeof number === 'number' || typeof number === 'string') {
    const port = typeof number === 'string' && number.trim() === '' ? Number.NaN : Number(number)
    if (!Number.isInteger(port) || port < 0 || port > 65535) return call
    const host = options.host
    if (host && typeof host !== 'string') return call
    call.wanted = { port, host: host ? (host as string) : undefined, ...shared }
  } else if (typeof options.path === 'string' && options.path !== '' && options.path[0] !== '\0') {
    call.wanted = { port: 0, path: options.path, mode: pipeMode(options), ...shared }
  }
  return call
}

/** `(path[, backlog])` or `(port[, host][, backlog])`. */
function positional(args: unknown[]): Record<string, unknown> {
  const first = args[0]
  if (typeof first === 'string' && !(Number(first) >= 0)) return { path: first }
  const options: Record<string, unknown> = { port: first }
  if (typeof args[1] === 'string') options.host = args[1]
  return options
}

/** Options are plain; what else is an object carries a handle (a server, a socket, a native handle). */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function pipeMode(options: Record<string, unknown>): number | undefined {
  const bits = (options.readableAll === true ? 0o444 : 0) | (options.writableAll === true ? 0o222 : 0)
  return bits === 0 ? undefined : (0o777 & ~process.umask()) | bits
}

/** Names are looked up before the engine, which knows addresses only, is asked. */
export function needsLookup({ host }: Wanted): boolean {
  return host !== undefined && isIP(host.replace(/%.*$/, '')) === 0
}

/** What the engine is asked for. */
export function requestFor(server: object, wanted: Wanted): NativeListenRequest {
  const { name, host, port, path, mode, backlog, ipv6Only } = wanted
  const shared = { name, backlog, ipv6Only, mode }
  if (path !== undefined) return { ...shared, address: { kind: 'unix', path }, anyHost: false }
  const kind = server instanceof DatagramSocket ? 'udp' : 'tcp'
  return {
    ...shared,
    address: { kind, host: host ?? (isV4Only(server) ? '0.0.0.0' : '::'), port },
    anyHost: host === undefined,
  }
}

/** A socket of type udp4. */
export function isV4Only(server: object): boolean {
  return server instanceof DatagramSocket && (server as DatagramSocket & { type?: string }).type === 'udp4'
}

function count(value: unknown): number {
  const number = typeof value === 'number' || typeof value === 'string' ? Number(value) : 0
  return Number.isInteger(number) && number > 0 && number <= 0x7fffffff ? number : 0
}

function wrong(option: string, got: unknown, wants: string): Error {
  return invalidArgument(`listen: ${option} is ${inspect(got, { depth: 0, breakLength: Infinity })}; it wants ${wants}`)
}

function port(option: string, value: unknown): number {
  return integer(option, value, 65535, 'a port, 0 to 65535 (0: any)')
}

function integer(option: string, value: unknown, max: number, wants: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max)
    throw wrong(option, value, wants)
  return value
}

function text(option: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.includes('\0'))
    throw wrong(option, value, 'a string, not empty')
  return value
}

function unixPath(value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw wrong('path', value, 'the path of a unix socket (an abstract one cannot be handed over)')
  }
  return value
}

function boolean(option: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrong(option, value, 'true or false')
  return value
}
