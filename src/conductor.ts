/** Wires the parts of one service together and takes what the engine reports to the part it concerns. */
import type { Context } from './context'
import { deferred } from './deferred'
import { Ending } from './ending'
import { leaveFailuresToEngine, nameError } from './failing'
import { fromNativeInFull } from './failures'
import { trace } from './logger'
import type { NativeEvent } from './native'
import { Readiness } from './readiness'
import { Restarts } from './restarts'
import { SignalHandlers } from './signals'
import { statusOf } from './status'
import { keepStdioNonblocking } from './stdio'

type Started = Extract<NativeEvent, { type: 'started' }>

export class Conductor<State> {
  readonly ending: Ending
  readonly readiness: Readiness
  readonly restarts: Restarts<State> | null
  /** The coordination socket, null without one, or while its file is gone. */
  socket: string | null = null
  /** What the old generation handed over as a value. */
  inherited: State | undefined
  readonly #context: Context<State>
  readonly #signals: SignalHandlers
  readonly #started = deferred<Started>()
  readonly #lost = deferred<never>()
  #isStarted = false

  constructor(context: Context<State>) {
    const { engine, settings, logger } = context
    this.#context = context
    this.#lost.promise.catch(() => {})
    this.restarts = engine === null ? null : new Restarts(context, engine)
    this.readiness = new Readiness(context, () => this.#onServing())
    this.ending = new Ending(
      context,
      () => this.readiness.abandon(),
      () => this.restarts?.over ?? Promise.resolve(),
      () => this.detach(),
    )
    this.#signals = new SignalHandlers(settings, logger, {
      restart: (signal) => {
        if (this.restarts !== null) this.restarts.restartBySignal()
        else logger.warn(`${signal} asks for a restart, which is not possible here: ${context.refusal}`)
      },
      shutdown: (signal) => {
        trace('%s', signal)
        void this.ending.shutdown({ immediate: signal === 'SIGINT', delayed: signal !== 'SIGINT' })
      },
    })
  }

  /** Resolves once the engine runs and every inherited listener is there. */
  get started(): Promise<Started> {
    return this.#started.promise
  }

  /** Rejects if the engine breaks after its start. */
  get lost(): Promise<never> {
    return this.#lost.promise
  }

  /** The process is ours from now on: its signals, its end, its uncaught errors. */
  attach(): void {
    this.#signals.catchRestart()
    if (!this.#context.successor) this.#signals.catchShutdown()
    if (this.#context.engine === null) return
    process.on('exit', this.#onExit)
    leaveFailuresToEngine()
    if (this.#context.successor) process.on('uncaughtExceptionMonitor', this.#onUncaught)
  }

  /** What the engine reports. */
  dispatch(event: NativeEvent): void {
    const { engine, logger } = this.#context
    // Without an engine nobody reports anything; this tells the compiler.
    if (engine === null || this.restarts === null) return
    if (event.type !== 'trace' && event.type !== 'handoverRoom') trace('%j', event)
    switch (event.type) {
      case 'started':
        this.#isStarted = true
        this.#started.resolve(event)
        break
      case 'failed':
        this.#onFailed(fromNativeInFull(event.failure))
        break
      case 'prepare':
        void this.restarts.prepare(event.attempt, event.generation)
        break
      case 'restarting':
        this.restarts.onStarted(event.pid)
        break
      case 'handover':
        void this.restarts.sender.send(event.attempt)
        break
      case 'handoverRoom':
        this.restarts.sender.goOn()
        break
      case 'commit':
        this.readiness.commit()
        break
      case 'aborted':
        process.exit(1)
        break
      case 'adopted':
        this.#context.manager?.adopted()
        break
      case 'release':
        void this.ending.release()
        break
      case 'resume':
        this.ending.onResume()
        break
      case 'outcome':
        this.restarts.onOutcome(event)
        break
      case 'restarted':
        this.restarts.onDone(event)
        break
      case 'undo':
        void this.restarts.undo(event.attempt, event.failure)
        break
      case 'rolledBack':
        this.restarts.onRolledBack(event.failure, event.asked)
        break
      case 'drain':
        void this.ending.drain(event.reason)
        break
      case 'status':
        engine.replyStatus(event.id, JSON.stringify(statusOf(this.#context, this.socket)))
        break
      case 'socket':
        this.socket = event.path ?? null
        break
      case 'oldGone':
        keepStdioNonblocking()
        break
      case 'warning':
        logger.warn(event.message)
        break
      case 'trace':
        trace('%s', event.message)
        break
      default:
      // What a newer addon may report.
    }
  }

  /** The engine could not start, or, which is a bug of ours, broke: then the service goes on without restarts. */
  #onFailed(error: Error): void {
    if (this.#isStarted) {
      this.#context.logger.error(error.message)
      this.restarts?.abandon(error)
      this.ending.onEngineLost()
      this.#lost.reject(error)
      return
    }
    this.#context.engine?.failing(nameError(error))
    this.detach()
    this.#started.reject(error)
  }

  /** Nothing of ours stays attached to the process, as if there had been no service. */
  detach(): void {
    this.#signals.remove()
    process.off('exit', this.#onExit)
    process.off('uncaughtExceptionMonitor', this.#onUncaught)
  }

  #onServing(): void {
    process.off('uncaughtExceptionMonitor', this.#onUncaught)
    if (this.#context.successor) this.#signals.catchShutdown()
  }

  /** Whoever calls process.exit() leaves no socket file behind. */
  readonly #onExit = (): void => {
    this.#context.engine?.drained()
  }

  /** The old generation is told why this one dies. */
  readonly #onUncaught = (error: unknown): void => {
    this.#context.engine?.failing(nameError(error))
  }
}
