/** What the parts of a service share. The phase is written by readiness (ready), restarts (restarting) and ending (the rest). */
import type { LoopHold } from './hold'
import type { Listeners } from './listen'
import type { ServiceManager } from './manager'
import type { Engine } from './native'
import type { Settings } from './options'
import type { Logger, ServiceEvents, ServicePhase } from './types'

export interface Context<State = unknown> {
  readonly settings: Settings<State>
  /** Null: inert. */
  readonly engine: Engine | null
  readonly generation: number
  /** This process was started by an older generation. */
  readonly successor: boolean
  /** Why restarts are refused here, null if they are not. */
  readonly refusal: string | null
  readonly logger: Logger
  readonly listeners: Listeners
  readonly hold: LoopHold
  /** Null: inert. It hears of every phase by itself. */
  readonly manager: ServiceManager | null
  phase: ServicePhase
  /** Emits to the application. What its listeners throw becomes an uncaught exception and stops nothing of ours. */
  announce<K extends keyof ServiceEvents>(event: K, ...args: ServiceEvents[K]): void
}
