/**
 * A descriptor becomes a server that listens, but does not accept until it is told to. Node's handle is created over
 * the descriptor with its `listen` (dgram: `recvStart`) shadowed by a function that does nothing: it owns the descriptor,
 * `address()` is real, 'listening' is emitted, and libuv does not poll it. Starting calls the real one.
 *
 * The descriptor has one owner at every moment: the handle once it took it, before that this file, which closes it.
 */
import type { Socket as DatagramSocket } from 'node:dgram'
import { type AddressInfo, Server } from 'node:net'
import { type Claimed, expected, verify } from './address'
import { adoptDatagramUnderBun, adoptUnderBun } from './bun-adopt'
import { ShellflipError } from './errors'
import { systemError } from './failures'
import { closeDescriptor } from './native'
import { BUN, DENO } from './runtime'

/** A listener that a server or dgram socket of the application now owns. */
export interface Adopted {
  /** False if Node refused the descriptor: it emits 'error' by itself, in the next tick. */
  readonly listening: boolean
  readonly address: AddressInfo | string
  /** Begins to accept. Synchronous; once, and for a dgram socket again after stop(). Throws what the system says. */
  start(): void
  /** Stops accepting and leaves the connections alone. */
  stop(): void
  /** The connections are gone, and nothing is left to do. */
  end(): void
}

/** The part of libuv's handles, as Node wraps them, that is used here. */
interface Handle {
  listen?(backlog: number): number
  recvStart?(): number
  recvStop?(): number
  close(callback?: () => void): void
}

type Listen = (...args: unknown[]) => unknown

/**
 * `listen` is the server's own method, not the one `manage()` put over it; `closed` is called when the application
 * closes the server.
 */
export function adoptServer(
  server: Server,
  listen: Listen,
  claimed: Claimed,
  backlog: number,
  closed: () => void,
): Adopted {
  if (BUN) return adoptUnderBun(server, listen, claimed, backlog, closed)
  const options = { fd: claimed.fd, backlog, exclusive: true }
  const handle = takeHandle(server, claimed.fd, () => void listen.call(server, options))
  if (handle === null) return { listening: false, address: expected(claimed), start() {}, stop() {}, end() {} }
  const unnamed = nameAddress(server, claimed)
  const hold = onClose(handle, () => {
    unnamed()
    closed()
  })
  try {
    verify(server.address(), claimed)
  } catch (error) {
    hold.release()
    Server.prototype.close.call(server)
    throw error
  }
  return {
    listening: true,
    address: server.address() as AddressInfo | string,
    start() {
      delete handle.listen
      check((handle as Handle).listen?.(backlog || 511) ?? 0, 'listen', claimed)
    },
    stop() {
      hold.release()
      unnamed()
      // Deno ends a connection after its response if the server is closed, whatever the response has promised: there only
      // the handle is closed now.
      if (DENO) handle.close()
      else Server.prototype.close.call(server)
    },
    end() {
      if (!DENO) return
      handle.close = () => {}
      Server.prototype.close.call(server)
    },
  }
}

/** Runs `open` with the handle that the server creates in it made to not listen. Null if it created none. */
function takeHandle(server: Server, fd: number, open: () => void): Handle | null {
  let handle: Handle | null = null
  let taken = false
  const property = { configurable: true, enumerable: true }
  Object.defineProperty(server, '_handle', {
    ...property,
    get: () => handle,
    set(value: Handle | null) {
      handle = value
      if (value === null) return
      taken = true
      value.listen = () => 0
    },
  })
  try {
    open()
  } finally {
    Object.defineProperty(server, '_handle', { ...property, value: handle, writable: true })
    makeFast(server)
    if (!taken) closeDescriptor(fd)
  }
  return handle
}

/**
 * An object one of whose properties was made an accessor becomes a hash table in V8, and Node reads a dozen properties of the
 * server for every request: 1 to 2 % of its time. A prototype becomes as fast again as it was once something enumerates
 * what inherits from it. Nothing but speed depends on this.
 */
function makeFast(server: object): void {
  for (const _ in Object.setPrototypeOf(Object.create(null), server)) break
}

/** The same for a dgram socket, whose handle exists from its creation. */
export function adoptDatagram(socket: DatagramSocket, claimed: Claimed, closed: () => void): Adopted {
  if (BUN) return adoptDatagramUnderBun(socket, claimed, closed)
  const handle = datagramHandle(socket)
  if (handle === null) {
    closeDescriptor(claimed.fd)
    throw new ShellflipError(
      'ERR_SHELLFLIP_UNSUPPORTED',
      'listen: this runtime gives no access to the handle of a dgram socket: bind it yourself, it will not be handed over',
    )
  }
  handle.recvStart = () => 0
  let taken = false
  const open = (handle as Handle & { open(fd: number): number }).open
  const shadow = handle as Handle & { open?(fd: number): number }
  shadow.open = (fd) => {
    const status = open.call(handle, fd)
    taken = status === 0
    return status
  }
  try {
    socket.bind({ fd: claimed.fd, exclusive: true })
  } catch (error) {
    if (!taken) closeDescriptor(claimed.fd)
    delete handle.recvStart
    throw error
  } finally {
    delete shadow.open
  }
  let hold = onClose(handle, closed)
  let stopped = false
  try {
    verify(socket.address(), claimed)
  } catch (error) {
    hold.release()
    socket.close()
    throw error
  }
  return {
    listening: true,
    address: socket.address(),
    start() {
      if (datagramHandle(socket) !== handle && stopped) return
      if (stopped) hold = onClose(handle, closed)
      stopped = false
      delete handle.recvStart
      check((handle as Handle).recvStart?.() ?? 0, 'recvStart', claimed)
    },
    stop() {
      // Only deaf: it can still send the answers it owes. What is queued in the kernel is the next generation's to read.
      hold.release()
      stopped = true
      if (datagramHandle(socket) === handle) handle.recvStop?.()
    },
    end() {},
  }
}

/** Throws Node's own error if the socket is bound or closed, before anything is claimed for it. */
export function refuseUsedDatagram(socket: DatagramSocket): void {
  try {
    socket.address()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SOCKET_DGRAM_NOT_RUNNING') throw error
    return
  }
  socket.bind()
}

/** The handle of a dgram socket that is neither bound nor closed. */
function datagramHandle(socket: DatagramSocket): Handle | null {
  const key = Object.getOwnPropertySymbols(socket).find((symbol) => symbol.description === 'state symbol')
  if (key === undefined) return null
  const state = (socket as unknown as Record<symbol, { handle?: Handle | null } | undefined>)[key]
  return typeof state?.handle?.recvStart === 'function' ? state.handle : null
}

/** Learns of the application closing the listener, whichever way it does so, until released. */
function onClose(handle: Handle, closed: () => void): { release(): void } {
  const close = handle.close
  handle.close = (callback) => {
    delete (handle as Partial<Handle>).close
    close.call(handle, callback)
    closed()
  }
  return { release: () => void delete (handle as Partial<Handle>).close }
}

/**
 * `address()` of a unix socket opened from a descriptor is null in Node: it shall be the path, as when opened by path,
 * until what is returned is called.
 */
function nameAddress(server: Server, { address }: Claimed): () => void {
  const { path } = address
  if (path === undefined) return () => {}
  server.address = () => path
  return () => void delete (server as Partial<Server>).address
}

function check(status: number, syscall: string, claimed: Claimed): void {
  if (status === 0) return
  const { host, port, path } = claimed.address
  throw systemError(status, syscall, { address: path ?? host, port })
}
