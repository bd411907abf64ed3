/**
 * Restarts as the old generation's JavaScript sees them. The engine decides; this runs the hooks, computes the launch, and
 * turns outcomes into promises, events and warnings. Until the new one serves, nothing here stops this one from serving.
 */

import { thisProcessAgain } from './command'
import type { Context } from './context'
import { type Deferred, deferred } from './deferred'
import { messageOf, unsupported } from './errors'
import { restartError } from './failures'
import { HandoverSender } from './handover'
import { describeThrown, trace } from './logger'
import type { Engine, NativeEvent, NativeFailure } from './native'
import type { RestartOutcome } from './types'

type Outcome = Extract<NativeEvent, { type: 'outcome' }>

/** Answers to a request that began nothing, or that the end of the service has overtaken. */
const REFUSALS = new Set<string | undefined>([
  'ERR_SHELLFLIP_RESTART_IN_PROGRESS',
  'ERR_SHELLFLIP_NOT_READY',
  'ERR_SHELLFLIP_DRAINING',
])

/** Instead of an id: a signal asks. */
const SIGNAL = 0

export class Restarts<State> {
  readonly #context: Context<State>
  readonly #engine: Engine
  readonly #asked = new Map<number, Deferred<RestartOutcome>>()
  readonly sender: HandoverSender<State>
  /** Outcomes of the restart that runs, until it is over here as well. */
  readonly #held: Outcome[] = []
  /** Of the restart that runs. */
  #end: Deferred<void> | null = null
  #ids = 0
  #releaseLoop: (() => void) | undefined

  constructor(context: Context<State>, engine: Engine) {
    this.#context = context
    this.#engine = engine
    this.sender = new HandoverSender(engine, context.settings)
  }

  /** Resolves once no restart runs: the hook of one that failed is done, and whoever asked has been told. */
  get over(): Promise<void> {
    return this.#end?.promise ?? Promise.resolve()
  }

  /** `service.restart()`. */
  restart(): Promise<RestartOutcome> {
    const { hold, refusal } = this.#context
    if (refusal !== null) return Promise.reject(unsupported(refusal))
    this.#ids += 1
    const outcome = deferred<RestartOutcome>()
    this.#asked.set(this.#ids, outcome)
    this.#engine.restart(this.#ids)
    return hold.during(outcome.promise)
  }

  /**
   * By the restart signal: nobody waits for the outcome but, perhaps, a service manager, which the engine knows and answers,
   * also if the restart cannot be. It warns of one refused, and 'rolledBack' of one that failed.
   */
  restartBySignal(): void {
    this.#engine.restart(SIGNAL)
  }

  /** Told to whoever asked; in the restart that runs, once its phase and events have been, too. */
  onOutcome(outcome: Outcome): void {
    if (this.#end !== null && !REFUSALS.has(outcome.failure?.code)) this.#held.push(outcome)
    else this.#settle(outcome)
  }

  #settle({ id, pid, generation, durationMs, failure }: Outcome): void {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    if (failure !== undefined) asked?.reject(restartError(failure))
    else asked?.resolve({ pid: pid ?? 0, generation: generation ?? 0, durationMs })
  }

  #over(): void {
    this.#releaseLoop?.()
    this.#releaseLoop = undefined
    for (const outcome of this.#held.splice(0)) this.#settle(outcome)
    this.#end?.resolve()
    this.#end = null
  }

  /** Nothing more will be heard of them. */
  abandon(error: Error): void {
    this.#over()
    for (const asked of this.#asked.values()) asked.reject(error)
    this.#asked.clear()
  }

  /** A request was taken: the hook, then the launch. Never rejects. */
  async prepare(attempt: number, generation: number): Promise<void> {
    const { settings, refusal } = this.#context
    if (this.#context.phase === 'ready') this.#context.phase = 'restarting'
    this.#end ??= deferred()
    this.#releaseLoop ??= this.#context.hold.acquire()
    try {
      // Asked for by the command line: an answer with a code, as restart() gives it.
      if (refusal !== null) throw unsupported(refusal)
      trace('preparing generation %d', generation)
      await this.#runFirstHook()
      if (this.#context.phase !== 'restarting') return
      const { file, args, cwd, environment } = thisProcessAgain(settings)
      const tickets = this.#context.listeners.ticketKeys()
      trace('launching %s %j in %s', file, args, cwd)
      const failure = this.#engine.launch(attempt, { file, args, cwd, environment, tickets })
      if (failure !== null) trace('launch failed: %s', failure.message)
    } catch (error) {
      this.#engine.prepareFailed(attempt, withCode(error))
    }
  }

  /** The new generation runs. */
  onStarted(pid: number): void {
    this.#context.announce('restarting', { pid })
  }

  /** It serves. */
  onDone(outcome: RestartOutcome): void {
    const { pid, generation, durationMs } = outcome
    this.#context.logger.info(`generation ${generation} is ready (pid ${pid}, ${Math.round(durationMs)} ms)`)
    this.#context.announce('restarted', { pid, generation, durationMs })
    this.#over()
  }

  /** It failed, and what was started is gone: the hook, before anybody is told. Never rejects. */
  async undo(attempt: number, failure: NativeFailure): Promise<void> {
    const error = restartError(failure)
    this.sender.stop(error)
    try {
      await this.#context.settings.lifecycle.newProcessFailed?.(error)
    } catch (thrown) {
      this.#context.logger.error(`lifecycle.newProcessFailed failed: ${describeThrown(thrown)}`)
    }
    this.#engine.undone(attempt)
  }

  /** It is over. */
  onRolledBack(failure: NativeFailure, asked: boolean): void {
    const error = restartError(failure)
    if (!asked) this.#context.logger.warn(`a restart failed: ${error.message}`)
    this.sender.stop(error)
    if (this.#context.phase === 'restarting') this.#context.phase = 'ready'
    trace('rolled back: %s', error.message)
    this.#context.announce('restartFailed', error)
    this.#over()
  }

  async #runFirstHook(): Promise<void> {
    try {
      await this.#context.settings.lifecycle.preNewProcess?.()
    } catch (error) {
      throw new Error(`lifecycle.preNewProcess failed: ${messageOf(error)}`, { cause: error })
    }
  }
}

/** The code travels in front of the text, as it does over the coordination socket. */
function withCode(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  const text = messageOf(error)
  return code?.startsWith('ERR_SHELLFLIP_') ? `${code}: ${text}` : text
}
