/**
 * The end of a generation: stop accepting, let what is in flight finish, cut what is left at the deadline, run the hooks,
 * exit. Happens once, whoever asks for it and however often; never fails.
 */
import type { Context } from './context'
import { Deadline } from './deadline'
import { deferred } from './deferred'
import { ShellflipError } from './errors'
import { ShutdownHooks } from './hooks'
import { trace } from './logger'
import { ShutdownCoordinator, type ShutdownHandle } from './shutdown'
import type { DrainOutcome } from './types'

type Reason = 'restart' | 'shutdown'

/** How a shutdown was asked for. */
export interface ShutdownManner {
  /** SIGINT, a developer's Ctrl-C: idle connections are closed at once. */
  immediate?: boolean
  /** A signal of a supervisor: accept for `shutdownDelayMs` more. */
  delayed?: boolean
}

export class Ending {
  readonly #context: Context
  readonly #onDraining: () => void
  readonly #restartOver: () => Promise<void>
  readonly #onEnd: () => void
  readonly #coordinator = new ShutdownCoordinator()
  /** While the connections drain, their requests may still take handles: as clones of this one. */
  readonly #root = this.#coordinator.handle()
  readonly #outcome = deferred<DrainOutcome>()
  readonly #hooks: ShutdownHooks
  #asked = false
  #immediate = false
  #delayMs = 0
  #endDelay: (() => void) | undefined
  #accepting = true
  #engineLost = false
  #rootReleased = false
  #deadline: Deadline | null = null
  #releaseLoop: (() => void) | undefined

  constructor(context: Context, onDraining: () => void, restartOver: () => Promise<void>, onEnd: () => void) {
    this.#context = context
    this.#onDraining = onDraining
    this.#restartOver = restartOver
    this.#onEnd = onEnd
    this.#hooks = new ShutdownHooks(context.logger)
  }

  get signal(): AbortSignal {
    return this.#coordinator.signal
  }

  get closed(): Promise<DrainOutcome> {
    return this.#outcome.promise
  }

  handle(): ShutdownHandle {
    if (!this.signal.aborted) return this.#coordinator.handle()
    if (!this.#rootReleased) return this.#root.clone()
    throw new ShellflipError(
      'ERR_SHELLFLIP_DRAINING',
      'the service has drained: a handle would hold nothing. Take it before the work begins',
    )
  }

  onShutdown(hook: () => void | Promise<void>): void {
    this.#hooks.add(hook)
  }

  shutdown({ immediate = false, delayed = false }: ShutdownManner = {}): Promise<DrainOutcome> {
    const { engine, settings, phase } = this.#context
    if (phase === 'stopped') return this.closed
    if (!delayed) this.#endDelay?.()
    if (immediate) this.#immediate = true
    // A generation that drains after a restart ends with the service, and has no more time than it.
    this.#deadline?.shorten(settings.shutdownTimeoutMs)
    if (this.#asked) return this.closed
    this.#asked = true
    this.#delayMs = delayed ? settings.shutdownDelayMs : 0
    this.#releaseLoop ??= this.#context.hold.acquire()
    if (engine === null || this.#engineLost) queueMicrotask(() => void this.drain('shutdown'))
    else engine.shutdown()
    return this.closed
  }

  /** The new generation accepts now: this one stops. */
  async release(): Promise<void> {
    // Without its listeners nothing else may keep the process until the drain begins.
    this.#releaseLoop ??= this.#context.hold.acquire()
    await this.#stopAccepting()
    this.#context.engine?.released()
  }

  /** The new generation died at the last moment, when our listeners had been stopped: they accept again. */
  onResume(): void {
    if (this.#accepting) return
    this.#accepting = true
    this.#context.listeners.resume()
    if (this.#asked) return
    this.#releaseLoop?.()
    this.#releaseLoop = undefined
  }

  /** Nobody tells any more when the time has come. */
  onEngineLost(): void {
    this.#engineLost = true
    if (this.#asked) void this.drain('shutdown')
  }

  /** Its time has come. Never rejects. */
  async drain(reason: Reason): Promise<void> {
    const { settings, logger } = this.#context
    if (this.#context.phase === 'draining' || this.#context.phase === 'stopped') return
    this.#context.phase = 'draining'
    this.#releaseLoop ??= this.#context.hold.acquire()
    logger.info(reason === 'restart' ? 'draining: a new generation has taken over' : 'draining: the service shuts down')
    this.#onDraining()
    this.#context.announce('draining', { reason })
    if (this.#delayMs > 0 && this.#accepting) await this.#delay()

    const timeoutMs = reason === 'restart' && !this.#asked ? settings.drainTimeoutMs : settings.shutdownTimeoutMs
    const deadline = new Deadline(timeoutMs)
    this.#deadline = deadline
    const cut = await this.#finish(reason, deadline)
    trace('drained, %d cut', cut)
    this.#context.announce('drained', { cut })
    // One that the shutdown called off may still have its hook to run, and somebody to tell.
    await deadline.outruns(this.#restartOver())
    await this.#hooks.run(() => deadline.remainingMs(1_000))
    deadline.clear()
    this.#stop(cut)
  }

  /** Connections and handles. Gives the number of connections destroyed. */
  async #finish(reason: Reason, deadline: Deadline): Promise<number> {
    const { listeners, logger } = this.#context
    await this.#stopAccepting()
    const released = this.#coordinator.shutdown(drainingError(reason))
    let cut = 0
    try {
      cut = (await listeners.drain({ reason, immediate: this.#immediate, deadline: deadline.signal })).cut
    } catch (error) {
      logger.error(`draining the connections failed: ${error instanceof Error ? error.stack : String(error)}`)
    }
    this.#rootReleased = true
    this.#root.release()
    // Where the deadline has cut connections, it is over already; a handle that nobody holds is no reason to complain.
    const none = Promise.race([released.then(() => true), turn().then(() => false)])
    if (!(await none) && !(await deadline.outruns(released))) {
      logger.warn('the time to drain is over and a handle (service.handle()) is still held: what it stands for is left')
    }
    return cut
  }

  #stop(cut: number): void {
    const { engine, settings } = this.#context
    this.#context.phase = 'stopped'
    this.#outcome.resolve({ cut })
    engine?.drained()
    this.#onEnd()
    this.#releaseLoop?.()
    // In a later turn: whoever awaits `closed` goes first. The exit code is process.exitCode, 0 unless somebody set it.
    if (settings.exit) setTimeout(() => process.exit(), 0)
  }

  async #stopAccepting(): Promise<void> {
    if (!this.#accepting) return
    this.#accepting = false
    this.#endDelay?.()
    try {
      await this.#context.listeners.stopAccepting()
    } catch (error) {
      this.#context.logger.error(`stopping a listener failed: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }

  #delay(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#delayMs)
      this.#endDelay = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function drainingError(reason: Reason): ShellflipError {
  const why = reason === 'restart' ? 'a new generation has taken over' : 'the service shuts down'
  return new ShellflipError('ERR_SHELLFLIP_DRAINING', `${why}: finish what is under way`, { reason })
}
