/**
 * From 'starting' to 'ready': `ready()` asks, the engine commits, and only then does any listener accept. In the same turn
 * the engine is told that we serve; if it says that the restart was called off meanwhile, this process ends unseen.
 */
import type { Context } from './context'
import { deferred } from './deferred'
import { messageOf, ShellflipError } from './errors'
import { trace } from './logger'

/** How long a service may listen without saying that it is ready before it is reminded. */
const REMIND_AFTER_MS = 10_000

export class Readiness {
  readonly #context: Context
  readonly #onServing: () => void
  readonly #outcome = deferred<void>()
  #asked = false
  #reminder: NodeJS.Timeout | undefined
  #releaseLoop: (() => void) | undefined

  constructor(context: Context, onServing: () => void) {
    this.#context = context
    this.#onServing = onServing
    // Whoever calls ready() sees the failure; nobody else has to.
    this.#outcome.promise.catch(() => {})
  }

  /** Asked for by the application, or by 'listening' mode. Every call gives the same promise. */
  ready(): Promise<void> {
    if (this.#asked) return this.#outcome.promise
    this.#asked = true
    clearTimeout(this.#reminder)
    const { engine, hold } = this.#context
    trace('ready')
    if (engine === null) this.commit()
    else engine.ready()
    return hold.during(this.#outcome.promise)
  }

  /** A server listens (without accepting) from now on. */
  onListen(): void {
    const { engine, settings, successor, hold } = this.#context
    if (this.#asked) return
    // A listener that does not accept yet does not hold the event loop, but whoever listens expects the process to stay.
    this.#releaseLoop ??= hold.acquire()
    if (settings.ready === 'listening') {
      if (successor && engine !== null && engine.unclaimed().length > 0) return
      // In a later turn: listen() itself resolves first.
      setImmediate(() => {
        this.ready().catch((error: unknown) => this.#context.logger.error(messageOf(error)))
      })
      return
    }
    this.#reminder ??= setTimeout(() => this.#remind(), REMIND_AFTER_MS)
    this.#reminder.unref()
  }

  /** The old generation, if there is one, lets us serve. */
  commit(): void {
    const { engine, listeners } = this.#context
    // Told to shut down before it ever served.
    if (this.#context.phase !== 'starting') return
    try {
      listeners.startAccepting()
    } catch (error) {
      engine?.failing(`cannot accept connections: ${messageOf(error)}`)
      this.#outcome.reject(error)
      return
    }
    // Before it is said: a signal that still did what the system does would end the service, which is ours by then.
    this.#onServing()
    if (engine !== null && !engine.serving()) {
      trace('called off while committing')
      process.exit(1)
    }
    this.#context.phase = 'ready'
    trace('serving as generation %d', this.#context.generation)
    this.#releaseLoop?.()
    this.#outcome.resolve()
  }

  /** It drains: who still waits for ready() waits in vain. */
  abandon(): void {
    this.#asked = true
    clearTimeout(this.#reminder)
    this.#releaseLoop?.()
    this.#outcome.reject(
      new ShellflipError('ERR_SHELLFLIP_DRAINING', 'the service was told to shut down before it was ready'),
    )
  }

  #remind(): void {
    const names = this.#context.listeners.names().map(({ name }) => name)
    if (names.length === 0) {
      this.#releaseLoop?.()
      return
    }
    this.#context.logger.warn(
      `service.ready() was not called within ${REMIND_AFTER_MS / 1000} s: ${names.join(', ')} ` +
        `${names.length === 1 ? 'accepts' : 'accept'} no connection before it is. ` +
        'Call it (or run() of the restart task) once the service can serve, ' +
        "or give shellflip() the option ready: 'listening'",
    )
  }
}
