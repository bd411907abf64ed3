/**
 * What the service manager (systemd, by NOTIFY_SOCKET) hears besides the restarts themselves: each phase with the number of
 * connections, how long it may take, and that the event loop turns. The engine passes it on while this generation is the
 * main process, and drops it otherwise.
 */
import type { Listeners } from './listen'
import type { Engine } from './native'
import type { Settings } from './options'
import type { ServicePhase } from './types'

/** How often it is told how the drain goes. */
const DRAIN_REPORT_MS = 1_000
/** What a drain without a limit asks for, again and again while the event loop turns. */
const NO_LIMIT_MS = 10_000
/** Hooks have a second after the drain, and the exit some time. */
const AFTER_DRAIN_MS = 3_000
/** setInterval fires at once for anything longer. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** What of the settings says how long something may take. */
type Limits = Pick<Settings, 'readyTimeoutMs' | 'shutdownDelayMs' | 'shutdownTimeoutMs'>

export class ServiceManager {
  readonly #engine: Engine
  readonly #limits: Limits
  readonly #listeners: () => Listeners
  readonly #present: boolean
  readonly #watched: boolean
  #drainTimer: NodeJS.Timeout | undefined

  /** `listeners` is asked later. */
  constructor(engine: Engine, limits: Limits, listeners: () => Listeners, env = process.env) {
    this.#engine = engine
    this.#limits = limits
    this.#listeners = listeners
    this.#present = (env.NOTIFY_SOCKET ?? '') !== ''
    const interval = this.#present ? watchdogInterval(env) : null
    this.#watched = interval !== null
    if (!this.#present) return
    // A first generation starts: systemd is to wait as long as a restart would.
    engine.report('starting', 0, limits.readyTimeoutMs)
    // Unref'd: it only says that the loop turns, and is no reason for it to.
    if (interval !== null) setInterval(() => engine.alive(), interval).unref()
  }

  /** The phase has changed. */
  report(phase: ServicePhase): void {
    if (!this.#present) return
    clearInterval(this.#drainTimer)
    const { shutdownDelayMs, shutdownTimeoutMs } = this.#limits
    if (phase !== 'draining') {
      this.#say(phase, 0)
      return
    }
    const limited = shutdownTimeoutMs > 0
    this.#say(phase, limited ? shutdownDelayMs + shutdownTimeoutMs + AFTER_DRAIN_MS : NO_LIMIT_MS)
    this.#drainTimer = setInterval(() => this.#say(phase, limited ? 0 : NO_LIMIT_MS), DRAIN_REPORT_MS)
    this.#drainTimer.unref()
  }

  /** This generation is the main process from now on. The old one's last ping may be nearly too old. */
  adopted(): void {
    if (this.#watched) this.#engine.alive()
  }

  #say(phase: ServicePhase, extendMs: number): void {
    this.#engine.report(phase, this.#listeners().counts().connections, extendMs)
  }
}

/**
 * How often the watchdog wants to hear of us, in ms: half of what WATCHDOG_USEC allows, as sd_watchdog_enabled(3) advises.
 * Null: not at all, or not of this process (WATCHDOG_PID, which a new generation does not have).
 */
export function watchdogInterval(env: NodeJS.ProcessEnv, pid = process.pid): number | null {
  const { WATCHDOG_USEC: allowed = '', WATCHDOG_PID: meant } = env
  if (!/^\d+$/.test(allowed) || Number(allowed) === 0) return null
  if (meant !== undefined && meant !== '' && meant !== String(pid)) return null
  return Math.min(Math.max(Math.floor(Number(allowed) / 2_000), 1), MAX_TIMER_MS)
}
