/**
 * Adoption under Bun. Its net, tls and http2 servers and dgram sockets take a descriptor, but begin to accept at once; its
 * HTTP servers take none. So the native side makes Bun's event loop look away from a socket until the start, in the same
 * turn in which Bun opened it; and an HTTP server is opened at a port of its own, on the loopback interface, whose socket
 * is then replaced by the claimed one. What Bun does not keep as expected is refused, never guessed.
 */
import type { Socket as DatagramSocket } from 'node:dgram'
import * as http from 'node:http'
import * as https from 'node:https'
import { createServer, type Server } from 'node:net'
import { type Claimed, expected, verify } from './address'
import type { Adopted } from './adopt'
import { messageOf, ShellflipError, unsupported } from './errors'
import { trace } from './logger'
import { closeDescriptor, requireNative } from './native'
import type { Watched } from './native/binding.cjs'
import { closeListener } from './runtime'

type Listen = (...args: unknown[]) => unknown

/** Where Bun opens what is replaced at once. */
const PLACEHOLDER = { host: '127.0.0.1', port: 0 }

/** HTTP servers whose listener was let go of, for `resume`. */
const released = new WeakMap<Server, Watched>()

/** As `adoptServer`. */
export function adoptUnderBun(
  server: Server,
  listen: Listen,
  claimed: Claimed,
  backlog: number,
  closed: () => void,
): Adopted {
  if (!isAsExpected()) return adoptLate(server, listen, claimed, backlog, closed)
  if (server instanceof http.Server) return adoptHttp(server, listen, claimed, closed)
  return adoptByDescriptor(server, listen, claimed, backlog, closed)
}

/** Net, tls, http2: the descriptor is Bun's from the call of listen on. */
function adoptByDescriptor(
  server: Server,
  listen: Listen,
  claimed: Claimed,
  backlog: number,
  closed: () => void,
): Adopted {
  listen.call(server, { fd: claimed.fd, backlog, exclusive: true })
  if (!server.listening) return { listening: false, address: expected(claimed), start() {}, stop() {}, end() {} }
  const unnamed = nameAddress(server, claimed)
  const hold = onClose(server, () => {
    unnamed()
    closed()
  })
  const stop = (): void => {
    hold.release()
    unnamed()
    closeListener(server)
  }
  try {
    const watched = pause(claimed.fd)
    verify(server.address(), claimed)
    return { listening: true, address: expected(claimed), start: () => resume(watched), stop, end() {} }
  } catch (error) {
    stop()
    throw error
  }
}

/** Http and https: the claimed socket takes the place of the one that Bun opened. */
function adoptHttp(server: Server, listen: Listen, claimed: Claimed, closed: () => void): Adopted {
  let watched = released.get(server)
  released.delete(server)
  try {
    if (watched === undefined) {
      listen.call(server, PLACEHOLDER)
      // It emits 'error', with what is wrong with its certificate for one.
      if (!server.listening) return { listening: false, address: expected(claimed), start() {}, stop() {}, end() {} }
      watched = placeholder(server)
    }
    watched.take(claimed.fd)
  } catch (error) {
    closeListener(server)
    throw refused(error)
  } finally {
    closeDescriptor(claimed.fd)
  }
  const grafted = watched
  const unnamed = override(server, { address: () => expected(claimed), listening: true })
  const hold = onClose(server, () => {
    unnamed()
    closed()
  })
  return {
    listening: true,
    address: expected(claimed),
    start: () => resume(grafted),
    // Closing it would end the idle connections: the server stays open over nothing until they are gone.
    stop() {
      hold.release()
      unnamed()
      override(server, { address: () => null, listening: false })
      grafted.letGo()
      released.set(server, grafted)
    },
    end() {
      released.delete(server)
      closeListener(server)
    },
  }
}

/**
 * Where Bun cannot be made to look away, it gets the socket only when it may accept. Plain HTTP servers, which take none,
 * have a net server accept for them, at half the speed; for https there is no way.
 */
function adoptLate(server: Server, listen: Listen, claimed: Claimed, backlog: number, closed: () => void): Adopted {
  if (server instanceof https.Server) {
    closeDescriptor(claimed.fd)
    throw refused('its HTTPS servers keep their listener in another way than expected; node:tls and node:http2 work')
  }
  const isHttp = server instanceof http.Server
  const listener = isHttp ? createServer((socket) => void server.emit('connection', socket)) : server
  if (isHttp) listener.on('error', (error) => server.emit('error', error))
  const undo = override(server, { address: () => expected(claimed), listening: true })
  let started = false
  const release = (): void => {
    hold.release()
    undo()
    if (!started) closeDescriptor(claimed.fd)
    else if (isHttp) closeListener(listener)
  }
  const hold = onClose(server, () => {
    release()
    closed()
  })
  process.nextTick(() => server.emit('listening'))
  return {
    listening: true,
    address: expected(claimed),
    start() {
      started = true
      if (!isHttp && claimed.address.path === undefined) undo()
      const options = { fd: claimed.fd, backlog, exclusive: true }
      if (isHttp) listener.listen(options)
      else listen.call(server, options)
      if (claimed.address.path === undefined) verify(listener.address(), claimed)
    },
    stop() {
      const open = started
      release()
      if (open && !isHttp) closeListener(server)
    },
    end() {
      if (isHttp) server.emit('close')
    },
  }
}

/** A dgram socket; the descriptor is Bun's from the call of bind on. */
export function adoptDatagramUnderBun(socket: DatagramSocket, claimed: Claimed, closed: () => void): Adopted {
  socket.bind({ fd: claimed.fd, exclusive: true })
  const hold = onClose(socket, closed)
  let watched: Watched
  try {
    watched = pause(claimed.fd)
  } catch (error) {
    hold.release()
    socket.close()
    throw error
  }
  socket.once('listening', () => verify(socket.address(), claimed))
  return {
    listening: true,
    address: expected(claimed),
    start: () => resume(watched),
    // Only deaf: it can still send the answers it owes.
    stop() {
      hold.release()
      watched.pauseAgain()
    },
    end() {},
  }
}

let asExpected: boolean | undefined

/** Whether this Bun keeps its listeners as expected: tried out once, on an HTTP server of nobody's. */
function isAsExpected(): boolean {
  if (asExpected !== undefined) return asExpected
  const probe = http.createServer()
  probe.listen(PLACEHOLDER)
  try {
    placeholder(probe)
    asExpected = true
  } catch (error) {
    trace('listeners can be given to Bun only when they may accept: %s', messageOf(error))
    asExpected = false
  } finally {
    closeListener(probe)
  }
  return asExpected
}

function placeholder(server: Server): Watched {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('its HTTP server opened no port')
  return requireNative().Watched.placeholder(address.port)
}

function pause(fd: number): Watched {
  try {
    return requireNative().Watched.pause(fd)
  } catch (error) {
    throw refused(error)
  }
}

function resume(watched: Watched): void {
  try {
    watched.resume()
  } catch (error) {
    throw new ShellflipError('ERR_SHELLFLIP_LISTENER', `listen: ${messageOf(error)}`, { cause: error })
  }
}

/** UNSUPPORTED, naming this Bun. */
export function refused(why: unknown): ShellflipError {
  return unsupported(
    `listen: a listener cannot be handed to Bun ${process.versions.bun} on ${process.platform}: ${messageOf(why)}. ` +
      'Run the service under Node.js, or with enabled: false',
  )
}

/** The path, where `address()` of an adopted unix socket would be empty. */
function nameAddress(server: Server, claimed: Claimed): () => void {
  return claimed.address.path === undefined ? () => {} : override(server, { address: () => expected(claimed) })
}

/** Gives an object values of its own, until what is returned is called. */
export function override(target: object, values: Record<PropertyKey, unknown>): () => void {
  for (const name of Reflect.ownKeys(values)) {
    Object.defineProperty(target, name, { value: values[name], configurable: true, writable: true })
  }
  return () => {
    for (const name of Reflect.ownKeys(values)) delete (target as Record<PropertyKey, unknown>)[name]
  }
}

/** Learns of the application closing it, whichever way it does so, until released. */
function onClose(target: Server | DatagramSocket, closed: () => void): { release(): void } {
  const own = Object.getOwnPropertyDescriptor(target, 'close')
  const release = (): void => {
    if (own === undefined) delete (target as { close?: unknown }).close
    else Object.defineProperty(target, 'close', own)
  }
  const close = target.close as (...args: unknown[]) => unknown
  override(target, {
    close(...args: unknown[]) {
      release()
      closed()
      return close.apply(target, args)
    },
  })
  return { release }
}
