/**
 * The crate's root module, name for name: its settings, and the functions beside them. As with `shellflip()`, what does
 * the work is loaded when it is wanted.
 */
import type { RequestOptions } from './asking'
import { invalidArgument } from './errors'
import type { RestartConfigInit, RestartSettings } from './restart-init'
import type { RestartTask } from './restart-task'
import type { LifecycleHandler } from './types'

/**
 * Settings for graceful restarts. Its fields may be changed until it is used. Throws INVALID_ARG for a wrong one, here
 * and where it is used.
 */
export class RestartConfig implements RestartSettings {
  /** Whether there is a coordination socket beside the signal. */
  enabled: boolean
  /** Path of the coordination socket. */
  coordinationSocketPath: string
  /** Variables for the new generation; undefined removes one. */
  environment: Record<string, string | undefined>
  /** Hooks around the start of a new generation. */
  lifecycleHandler: LifecycleHandler
  /** Whether a restart that failed ends the task. */
  exitOnError: boolean
  /** The signal that asks for a restart; false: none. */
  restartSignal: NodeJS.Signals | false

  constructor(init?: RestartConfigInit) {
    const settings = validateInit(init)
    this.enabled = settings.enabled
    this.coordinationSocketPath = settings.coordinationSocketPath
    this.environment = settings.environment
    this.lifecycleHandler = settings.lifecycleHandler
    this.exitOnError = settings.exitOnError
    this.restartSignal = settings.restartSignal
  }

  /** {@link fixupSystemdEnv}, then {@link spawnRestartTask}: prepares this process to be restarted. */
  tryIntoRestartTask(): RestartTask {
    fixupSystemdEnv()
    return spawnRestartTask(this)
  }

  /**
   * Asks the service that runs at `coordinationSocketPath` to restart; resolves with the new generation's pid once that
   * serves. Rejects with INVALID_ARG unless `enabled`, and otherwise as `RestartCoordinationSocket`'s methods do.
   */
  async requestRestart(options?: RequestOptions): Promise<number> {
    return asking().requestRestart(this.#socket(), options)
  }

  /**
   * The same, blocking this thread and its event loop until the outcome is known or the time is over. Throws INVALID_ARG
   * also if this very process would have to answer.
   */
  requestRestartSync(options?: RequestOptions): number {
    return asking().requestRestartSync(this.#socket(), options)
  }

  #socket(): string {
    const { enabled, coordinationSocketPath } = validateInit(this)
    if (enabled) return coordinationSocketPath
    throw invalidArgument(
      'this RestartConfig has no coordination socket to ask at: set enabled: true and coordinationSocketPath',
    )
  }
}

/**
 * Prepares this process to be restarted, by the signal and, if `enabled`, over the coordination socket. Throws
 * INVALID_ARG for a wrong config, and if there is a task or service already: one process is one service.
 */
export function spawnRestartTask(config: RestartConfigInit): RestartTask {
  return (require('./restart-task') as typeof import('./restart-task')).startTask(validateInit(config))
}

/**
 * Says that this process is ready, where that is to be earlier than the first `run()`: the old generation is told, and
 * the service manager when this process becomes its main one. Returns at once; what goes wrong rejects `run()`. A second
 * call does nothing. Throws INVALID_ARG if there is no task (or service) yet: what is ready must be there first.
 */
export function startupComplete(): void {
  const service = (require('./current') as typeof import('./current')).currentService()
  if (service === null) {
    throw invalidArgument(
      'startupComplete() before there is anything to be ready: call it after tryIntoRestartTask() or shellflip()',
    )
  }
  service.then((started) => started.ready()).catch(() => {})
}

/**
 * On Linux, makes `LISTEN_PID=auto`, which a Rust old generation sets, the id of this process. What was there when this
 * package was loaded has been read and taken out of the environment by then: its listeners are claimed by
 * `service.listen()`. So this matters only to a process that has set the variable again, or whose addon cannot be loaded.
 */
export function fixupSystemdEnv(): void {
  if (process.platform === 'linux' && process.env.LISTEN_PID === 'auto') process.env.LISTEN_PID = String(process.pid)
}

function asking(): typeof import('./asking') {
  return require('./asking')
}

function validateInit(init: RestartConfigInit | undefined): RestartSettings {
  return (require('./restart-init') as typeof import('./restart-init')).validateInit(init)
}
