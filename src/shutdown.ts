/**
 * The crate's ShutdownCoordinator for JavaScript. Invariant: `shutdown()` resolves once it was asked for and the count of
 * handles is zero, never before; once it has begun, only an unreleased handle can make another. Taking and releasing a
 * handle is arithmetic here: one native handle stands for all of them.
 *
 * A handle that is lost without `release()` holds the shutdown open, as in Rust one that is forgotten: give the shutdown
 * a timeout. It is not released when it is garbage collected, on purpose: a collector may take a handle whose work still
 * runs (`const work = c.handle(); await job()` reads it no more), and the drain would end under that work.
 */
import { setMaxListeners } from 'node:events'
import { deferred } from './deferred'
import { ShellflipError } from './errors'
import { LoopHold } from './hold'
import { native } from './native'

/** The longest delay a timer can have, in ms: about 24.8 days. */
const LONGEST_TIMER_MS = 2_147_483_647

// The ways into the private constructors below: only a coordinator makes these objects.
let signalOf!: (shared: Shared) => ShutdownSignal
let handleOf!: (shared: Shared) => ShutdownHandle
let weakOf!: (shared: Shared) => WeakShutdownHandle

function nativeCoordinator() {
  const addon = native()
  return addon === null ? null : new addon.NativeCoordinator()
}

/** What the coordinator, its handles and its signals share; it lives as long as any of them. */
class Shared {
  stage: 'open' | 'draining' | 'over' = 'open'
  count = 0
  readonly controller = new AbortController()
  readonly begun = deferred<void>()
  readonly over = deferred<void>()
  readonly signal = signalOf(this)
  /** Null where there is no addon: the count alone decides then. */
  readonly #native = nativeCoordinator()

  constructor() {
    // One listener for each connection is ordinary here, not a leak to be warned of.
    setMaxListeners(0, this.controller.signal)
  }

  begin(reason: unknown): void {
    if (this.stage !== 'open') return
    this.stage = 'draining'
    this.#native?.begin()
    this.begun.resolve()
    this.controller.abort(
      reason ?? new ShellflipError('ERR_SHELLFLIP_DRAINING', 'shutdown has begun: finish and release'),
    )
    this.endIfIdle()
  }

  endIfIdle(): void {
    if (this.stage !== 'draining' || this.count > 0) return
    if (this.#native !== null && !this.#native.letGo()) return
    this.stage = 'over'
    this.over.resolve()
  }
}

/** Tells when shutdown has begun. Awaiting it does not keep the process alive. */
export class ShutdownSignal {
  static {
    signalOf = (shared) => new this(shared)
  }

  readonly #shared: Shared

  private constructor(shared: Shared) {
    this.#shared = shared
  }

  /**
   * Resolves when shutdown begins, at once if it has begun; every call and every await does. (The crate's resolves once
   * and then never again.) In a loop prefer {@link asAbortSignal}: racing one long-lived promise again and again collects
   * memory.
   */
  onShutdown(): Promise<void> {
    return this.#shared.begun.promise
  }

  /** Whether shutdown has begun. */
  get aborted(): boolean {
    return this.#shared.stage !== 'open'
  }

  /** The same as an AbortSignal, for `fetch`, timers, streams and `events.once`; always the same object. */
  asAbortSignal(): AbortSignal {
    return this.#shared.controller.signal
  }
}

/**
 * Holds the shutdown open until it is released. Release it in `finally`, or declare it with `using`: one that is lost
 * without release holds the shutdown until its deadline.
 */
export class ShutdownHandle implements Disposable {
  static {
    handleOf = (shared) => new this(shared)
  }

  readonly #shared: Shared
  #released = false

  private constructor(shared: Shared) {
    this.#shared = shared
    shared.count++
  }

  /** Tells the holder when to finish. */
  get signal(): ShutdownSignal {
    return this.#shared.signal
  }

  /**
   * Another handle, to be released on its own; also while draining, for work that this work starts.
   * Throws INVALID_ARG once this one was released.
   */
  clone(): ShutdownHandle {
    if (this.#released) {
      throw new ShellflipError(
        'ERR_SHELLFLIP_INVALID_ARG',
        'this ShutdownHandle was released and holds nothing open: clone it before release()',
      )
    }
    return handleOf(this.#shared)
  }

  /** Lets go. A second call does nothing. */
  release(): void {
    if (this.#released) return
    this.#released = true
    const shared = this.#shared
    if (--shared.count === 0) shared.endIfIdle()
  }

  /** The same as {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }
}

/** For a task that need not be waited for but may start others that must. Holds nothing open. */
export class WeakShutdownHandle {
  static {
    weakOf = (shared) => new this(shared)
  }

  readonly #shared: Shared

  private constructor(shared: Shared) {
    this.#shared = shared
  }

  /** A new handle, or null once shutdown has begun, also while other handles are still held. */
  upgrade(): ShutdownHandle | null {
    return this.#shared.stage === 'open' ? handleOf(this.#shared) : null
  }
}

/** Tells tasks that it is time to finish, and waits for those that hold a handle. */
export class ShutdownCoordinator implements AsyncDisposable {
  readonly #shared = new Shared()
  #finished: Promise<void> | null = null

  /**
   * A handle for a task that shutdown must wait for. Throws DRAINING once shutdown has begun: a task that runs then takes
   * `clone()` of the handle it holds.
   */
  handle(): ShutdownHandle {
    if (this.#shared.stage !== 'open') {
      throw new ShellflipError(
        'ERR_SHELLFLIP_DRAINING',
        'shutdown has begun and starts nothing new: work under way takes clone() of the handle it holds',
      )
    }
    return handleOf(this.#shared)
  }

  /** A handle that does not hold the shutdown open. */
  handleWeak(): WeakShutdownHandle {
    return weakOf(this.#shared)
  }

  /** Aborted when shutdown begins, and only then: a coordinator that is merely collected leaves it alone. */
  get signal(): AbortSignal {
    return this.#shared.controller.signal
  }

  /**
   * Begins shutdown and resolves, never rejects, when every handle was released. Keeps the process alive meanwhile. Every
   * call gives the same promise.
   * @param reason becomes `signal.reason` if this call begins it; default a {@link ShellflipError} DRAINING.
   */
  shutdown(reason?: unknown): Promise<void> {
    // Nothing else may hold the event loop while handles are awaited.
    this.#finished ??= new LoopHold().during(this.#shared.over.promise)
    this.#shared.begin(reason)
    return this.#finished
  }

  /**
   * Begins shutdown, or joins it, and waits at most so long. True if every handle was released in time. What was not is
   * left running: calling again, or shutdown(), waits for it again. Each call has its own deadline.
   * @param timeoutMs milliseconds, at most 2147483647; 0 waits without limit.
   * @param reason as for {@link shutdown}.
   */
  async shutdownWithTimeout(timeoutMs: number, reason?: unknown): Promise<boolean> {
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0 && timeoutMs <= LONGEST_TIMER_MS)) {
      throw new ShellflipError(
        'ERR_SHELLFLIP_INVALID_ARG',
        `timeoutMs must be a number of milliseconds from 0 (no limit) to ${LONGEST_TIMER_MS}, got ${String(timeoutMs)}`,
      )
    }
    if (timeoutMs === 0) return this.shutdown(reason).then(() => true)
    const { over } = this.#shared
    this.#shared.begin(reason)
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs, false)
      over.promise.then(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }

  /** The same as {@link shutdown}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown()
  }
}
