/**
 * Every listener of the service, from the claim to the end of its connections. Invariant: a listener that is in the
 * list is claimed from the engine by its name, and none accepts before `startAccepting` or after `stopAccepting`.
 */
import { Socket as DatagramSocket } from 'node:dgram'
import type { AddressInfo, Server } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { Claimed } from './address'
import { type Adopted, adoptDatagram, adoptServer, refuseUsedDatagram } from './adopt'
import { Connections } from './connections'
import { type DrainHow, drainConnections } from './drain'
import { invalidArgument, messageOf } from './errors'
import { fromNative } from './failures'
import type { ForeignServer } from './foreign'
import { joinDrain, leaveDrain, listenByNode, listensByNode } from './inert'
import { isV4Only, needsLookup, requestFor, type Wanted, wantedByArguments, wantedByOptions } from './listen-options'
import { alreadyListening, closeOnAbort, closeQuietly, nameOf, outcome } from './listen-outcome'
import { lookUp } from './lookup'
import type { Engine } from './native'
import { cannotAdopt, isDraining, notAServer } from './refusals'
import { isServer } from './runtime'
import { inheritTickets, type TicketKeys, ticketKeysOf } from './tickets'
import type { ListeningServer } from './types'

export interface ListenersDeps {
  /** Null: inert. Servers listen by Node's own means, and accept at once. */
  engine: Pick<Engine, 'claim' | 'reclaim' | 'drop' | 'ticketKeys'> | null
  warn(message: string): void
  /** Called each time a server listens, and not only the first. */
  onFirstListen(): void
  isDraining(): boolean
}

type Listening = ListeningServer | ForeignServer

interface Entry {
  name: string
  server: Listening
  adopted: Adopted
  backlog: number
}

type NodeListen = (...args: unknown[]) => unknown

export class Listeners {
  readonly #deps: ListenersDeps
  readonly #entries: Entry[] = []
  readonly #connections = new Set<Connections>()
  readonly #foreign = new Set<ForeignServer>()
  /** A managed server's own listen(). */
  readonly #managed = new WeakMap<Server, NodeListen>()
  /** Servers between the call of listen and the outcome of a name lookup. */
  readonly #opening = new WeakSet<object>()
  #accepting = false
  #stopped = false

  constructor(deps: ListenersDeps) {
    this.#deps = deps
  }

  /** `Service.listen`. */
  async listen(server: ListeningServer, options: unknown): Promise<AddressInfo | string> {
    if (!isServer(server) && !(server instanceof DatagramSocket)) throw notAServer(server)
    const wanted = wantedByOptions(options)
    if (server instanceof DatagramSocket && wanted.path !== undefined) {
      throw invalidArgument('listen: path is for stream servers: a dgram socket wants a port')
    }
    this.#refuse(server)
    const resolved = needsLookup(wanted) ? await this.#lookup(server, wanted) : wanted
    this.#refuse(server)
    return this.#deps.engine === null ? this.#openInert(server, resolved) : outcome(this.#open(server, resolved))
  }

  /** Listens with a server that is none of Node's; its host is an address. Synchronous; throws. Not for an inert service. */
  listenForeign(server: ForeignServer, wanted: Wanted): void {
    this.#refuse(server)
    this.#open(server, wanted)
  }

  /** A server that is none of Node's, and listens already (inert): it is drained with the others. */
  addForeign(server: ForeignServer, adopted: Adopted, name?: string): void {
    this.#refuse(server)
    this.#foreign.add(server)
    this.#add(server, adopted, name)
  }

  /** It was closed by the application. */
  forget(server: ForeignServer): void {
    this.#remove(server)
    this.#foreign.delete(server)
  }

  /** Puts every later listen() of this server through the service. Returns the server. */
  manage<S>(server: S): S {
    if (!isServer(server)) throw invalidArgument('manage: it wants a net, tls, http, https or http2 server')
    if (this.#managed.has(server)) return server
    const managed: Server = server
    this.#managed.set(managed, managed.listen as NodeListen)
    managed.listen = ((...args: unknown[]) => this.#listenManaged(managed, args)) as Server['listen']
    return server
  }

  /** The commit. Synchronous: when it returns every listener accepts, and later ones accept at once. */
  startAccepting(): void {
    if (this.#accepting) return
    this.#accepting = true
    for (const { adopted } of this.#entries) adopted.start()
  }

  /** Stops the listeners, and leaves their connections alone. */
  stopAccepting(): void {
    if (this.#stopped) return
    this.#stopped = true
    for (const { server, adopted } of this.#entries) {
      adopted.stop()
      if (isServer(server)) joinDrain(server)
    }
  }

  /** After `stopAccepting`, while the engine still holds every socket: all accept again. */
  resume(): void {
    if (!this.#stopped) return
    this.#stopped = false
    for (const entry of this.#entries) {
      try {
        this.#resume(entry)
      } catch (error) {
        this.#deps.warn(`the listener ${entry.name} could not be opened again: ${messageOf(error)}`)
      }
    }
  }

  #resume(entry: Entry): void {
    const { engine } = this.#deps
    const { name, server, adopted, backlog } = entry
    if (engine === null) return
    if (server instanceof DatagramSocket) {
      adopted.start()
      return
    }
    if (isServer(server)) leaveDrain(server)
    const claim = engine.reclaim(name)
    if (claim.failure !== undefined) throw fromNative(claim.failure)
    const path = typeof adopted.address === 'string' ? adopted.address : undefined
    entry.adopted = this.#adopt(server, { fd: claim.fd, address: { ...claim.address, path } }, backlog, () => {
      this.#remove(server)
      engine.drop(name)
    })
    if (entry.adopted.listening) entry.adopted.start()
  }

  names(): { name: string; address: AddressInfo | string }[] {
    return this.#entries.map(({ name, adopted }) => ({ name, address: adopted.address }))
  }

  /** Session ticket keys of the TLS servers, for the next generation to resume their sessions. */
  ticketKeys(): TicketKeys[] {
    return ticketKeysOf(this.#entries)
  }

  counts(): { connections: number; inFlight: number } {
    const counts = { connections: 0, inFlight: 0 }
    for (const each of [...this.#connections, ...this.#foreign]) {
      const { connections, inFlight } = each.counts()
      counts.connections += connections
      counts.inFlight += inFlight
    }
    return counts
  }

  /** Resolves when no connection is left, or the deadline destroyed what was left. Never rejects. */
  async drain(how: DrainHow): Promise<{ cut: number }> {
    this.stopAccepting()
    const drained = [drainConnections(this.#connections, how), ...[...this.#foreign].map((server) => server.drain(how))]
    const cuts = await Promise.all(drained)
    for (const { server, adopted } of this.#entries) {
      if (server instanceof DatagramSocket) closeQuietly(server)
      adopted.end()
    }
    this.#entries.length = 0
    return { cut: cuts.reduce((sum, { cut }) => sum + cut, 0) }
  }

  #listenManaged(server: Server, args: unknown[]): Server {
    const own = this.#managed.get(server) as NodeListen
    const { wanted, callback, signal, reusePort } = wantedByArguments(args)
    if (wanted === null || this.#deps.engine === null) {
      // A handle or a descriptor, which is not ours to hand over, or something Node itself shall refuse.
      this.#connections.add(Connections.of(server))
      server.once('listening', () =>
        this.#add(
          server,
          listensByNode(server, () => this.#remove(server)),
        ),
      )
      own.apply(server, args)
      return server
    }
    if (server.listening || this.#opening.has(server)) throw alreadyListening()
    if (reusePort)
      this.#deps.warn('listen: reusePort is ignored: the service hands the socket itself to the next generation')
    if (callback !== null) server.once('listening', callback)
    if (signal !== undefined) closeOnAbort(server, signal)
    const fail = (error: unknown): void => void process.nextTick(() => server.emit('error', error))
    const open = (resolved: Wanted): void => {
      try {
        this.#refuse(server)
        this.#open(server, resolved)
      } catch (error) {
        fail(error)
      }
    }
    if (needsLookup(wanted)) this.#lookup(server, wanted).then(open, fail)
    else open(wanted)
    return server
  }

  /** Claims and adopts, in one turn. Throws; then nothing is left open. */
  #open<S extends Listening>(server: S, wanted: Wanted): S {
    const { engine } = this.#deps
    if (engine === null) return server
    const claim = engine.claim(requestFor(server, wanted))
    const target = { address: wanted.path ?? wanted.host ?? (isV4Only(server) ? '0.0.0.0' : '::'), port: wanted.port }
    if (claim.failure !== undefined) {
      throw fromNative(claim.failure, wanted.path === undefined ? target : { address: wanted.path })
    }
    const { name } = claim
    // Node tells the path as it was asked for.
    const claimed: Claimed = { fd: claim.fd, address: { ...claim.address, path: wanted.path } }
    const forget = (): void => {
      this.#remove(server)
      engine.drop(name)
    }
    let adopted: Adopted
    try {
      adopted = this.#adopt(server, claimed, wanted.backlog, forget)
      if (adopted.listening && server instanceof TlsServer) inheritTickets(server, name, this.#deps)
      if (adopted.listening && this.#accepting) adopted.start()
    } catch (error) {
      forget()
      throw error
    }
    if (adopted.listening) this.#add(server, adopted, name, wanted.backlog)
    else forget()
    return server
  }

  #add(server: Listening, adopted: Adopted, name = nameOf(server, adopted.address), backlog = 0): void {
    this.#entries.push({ name, server, adopted, backlog })
    this.#deps.onFirstListen()
  }

  #remove(server: Listening): void {
    const at = this.#entries.findIndex((entry) => entry.server === server)
    if (at >= 0) this.#entries.splice(at, 1)
  }

  #adopt(server: Listening, claimed: Claimed, backlog: number, closed: () => void): Adopted {
    if (server instanceof DatagramSocket) return adoptDatagram(server, claimed, closed)
    if (!isServer(server)) {
      const adopted = server.adopt(claimed, closed)
      this.#foreign.add(server)
      return adopted
    }
    this.#connections.add(Connections.of(server))
    const listen = this.#managed.get(server) ?? (server.listen as NodeListen)
    return adoptServer(server, listen, claimed, backlog, closed)
  }

  async #openInert(server: ListeningServer, wanted: Wanted): Promise<AddressInfo | string> {
    const { name } = wanted
    if (name !== undefined && this.#entries.some((entry) => entry.name === name)) {
      throw invalidArgument(`listen: a listener named '${name}' is in use already; give each one a name of its own`)
    }
    if (isServer(server)) this.#connections.add(Connections.of(server))
    const own = isServer(server) ? this.#managed.get(server) : undefined
    await listenByNode(server, wanted, own)
    const adopted = listensByNode(server, () => this.#remove(server))
    this.#add(server, adopted, name)
    return adopted.address
  }

  async #lookup(server: ListeningServer, wanted: Wanted): Promise<Wanted> {
    this.#opening.add(server)
    try {
      return await lookUp(server, wanted)
    } finally {
      this.#opening.delete(server)
    }
  }

  #refuse(server: Listening): void {
    const refusal = this.#deps.engine === null ? null : cannotAdopt(server)
    if (refusal !== null) throw refusal
    if (this.#deps.isDraining()) throw isDraining()
    if (this.#opening.has(server) || (isServer(server) && server.listening)) throw alreadyListening()
    if (server instanceof DatagramSocket) refuseUsedDatagram(server)
  }
}
