/**
 * The signals of a service, caught by `process.on` alone: a native handler beside libuv's makes one of them deaf. Each
 * is caught only as long as it means something, so that before and after it does what the system does by default.
 */
import type { Settings } from './options'
import type { Logger } from './types'

/** What a signal sets off. */
export interface SignalActions {
  restart(signal: NodeJS.Signals): void
  shutdown(signal: NodeJS.Signals): void
}

/** How a shell tells that SIGINT ended a process. */
const EXIT_BY_SIGINT = 130

export class SignalHandlers {
  readonly #settings: Pick<Settings, 'restartSignal' | 'shutdownSignals'>
  readonly #logger: Logger
  readonly #actions: SignalActions
  readonly #caught: [NodeJS.Signals, NodeJS.SignalsListener][] = []
  #interrupted = false

  constructor(settings: Pick<Settings, 'restartSignal' | 'shutdownSignals'>, logger: Logger, actions: SignalActions) {
    this.#settings = settings
    this.#logger = logger
    this.#actions = actions
  }

  /** From the very start: the restart signal's default is to kill, and a new generation may be hit by one meant for all. */
  catchRestart(): void {
    const { restartSignal } = this.#settings
    if (restartSignal === false) return
    if (process.report?.reportOnSignal && process.report.signal === restartSignal) {
      this.#logger.warn(
        `${restartSignal} asks for a restart, and --report-on-signal writes a diagnostic report at the same signal: ` +
          'give one of them another with --report-signal=… or options.restartSignal',
      )
    }
    this.#catch(restartSignal, () => this.#actions.restart(restartSignal))
  }

  /** In a new generation only when it is about to serve: before that a signal simply ends it, and the old one goes on. */
  catchShutdown(): void {
    for (const signal of this.#settings.shutdownSignals) {
      this.#catch(signal, () => {
        if (signal === 'SIGINT') {
          if (this.#interrupted) process.exit(EXIT_BY_SIGINT)
          this.#interrupted = true
        }
        this.#actions.shutdown(signal)
      })
    }
  }

  /** Back to what the system does. */
  remove(): void {
    for (const [signal, listener] of this.#caught.splice(0)) process.off(signal, listener)
  }

  #catch(signal: NodeJS.Signals, listener: NodeJS.SignalsListener): void {
    process.on(signal, listener)
    this.#caught.push([signal, listener])
  }
}
