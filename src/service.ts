/** The service as the application sees it: a thin front of the parts that do the work. */
import { EventEmitter } from 'node:events'
import type * as net from 'node:net'
import type { Conductor } from './conductor'
import type { Context } from './context'
import { invalidArgument, unsupported } from './errors'
import type { Listeners } from './listen'
import type { ShutdownHandle } from './shutdown'
import { statusOf } from './status'
import type {
  DrainOutcome,
  ListeningServer,
  ListenOptions,
  MigrateHooks,
  RestartOutcome,
  Service,
  ServiceEvents,
  ServicePhase,
  ServiceStatus,
} from './types'

const contexts = new WeakMap<object, Pick<Context, 'listeners' | 'engine'>>()

/** The listeners of a service that `shellflip()` gave, and whether it is inert. Throws INVALID_ARG for anything else. */
export function listenersOf(service: object): { listeners: Listeners; inert: boolean } {
  const context = contexts.get(service)
  if (context === undefined) throw invalidArgument('the service wants to be what shellflip() resolved with')
  return { listeners: context.listeners, inert: context.engine === null }
}

export class RunningService<State> extends EventEmitter<ServiceEvents> implements Service<State> {
  readonly #context: Context<State>
  readonly #conductor: Conductor<State>

  constructor(context: Context<State>, conductor: Conductor<State>) {
    super()
    this.#context = context
    this.#conductor = conductor
    contexts.set(this, context)
  }

  get supported(): boolean {
    return this.#context.refusal === null
  }

  get generation(): number {
    return this.#context.generation
  }

  get phase(): ServicePhase {
    return this.#context.phase
  }

  get inherited(): State | undefined {
    return this.#conductor.inherited
  }

  get signal(): AbortSignal {
    return this.#conductor.ending.signal
  }

  get closed(): Promise<DrainOutcome> {
    return this.#conductor.ending.closed
  }

  /** Rejects if the engine breaks: no restart is possible any more. Not part of {@link Service}. */
  get lost(): Promise<never> {
    return this.#conductor.lost
  }

  listen(server: ListeningServer, options: number | ListenOptions): Promise<net.AddressInfo | string> {
    return this.#context.listeners.listen(server, options)
  }

  manage<S extends net.Server>(server: S): S {
    return this.#context.listeners.manage(server)
  }

  migrate(_server: net.Server, _hooks: MigrateHooks): void {
    throw unsupported(
      'service.migrate() is not in this release: raw connections live on service.signal until they end or the drain does',
    )
  }

  ready(): Promise<void> {
    return this.#conductor.readiness.ready()
  }

  restart(): Promise<RestartOutcome> {
    const { restarts } = this.#conductor
    return restarts?.restart() ?? Promise.reject(unsupported(this.#context.refusal ?? 'this service is inert'))
  }

  shutdown(): Promise<DrainOutcome> {
    return this.#conductor.ending.shutdown()
  }

  handle(): ShutdownHandle {
    return this.#conductor.ending.handle()
  }

  onShutdown(hook: () => void | Promise<void>): void {
    this.#conductor.ending.onShutdown(hook)
  }

  status(): ServiceStatus {
    return statusOf(this.#context, this.#conductor.socket)
  }
}
