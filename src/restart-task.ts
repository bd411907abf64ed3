/**
 * The crate's restart task: a service of `shellflip()` that leaves draining and exiting to the application. Invariant:
 * when `run()` settles, this process accepts no connection through the service any more and takes no further restart.
 */
import { resolve } from 'node:path'
import { currentService } from './current'
import { deferred } from './deferred'
import { invalidArgument, type ShellflipError } from './errors'
import { LoopHold } from './hold'
import type { RestartSettings } from './restart-init'
import type { RunningService } from './service'
import { startService } from './start'
import type { LifecycleHandler, Service, ServiceOptions } from './types'

/** The crate's future: what a restartable program awaits beside its work. */
export interface RestartTask {
  /**
   * The service behind the task, before {@link run} and during it: listen through it, and the new generation takes over
   * the listening socket, which the crate's does not. Rejects as `shellflip()` does.
   */
  readonly service: Promise<Service>
  /**
   * The first call says that this process is ready. Resolves with the new generation's pid once a restart has succeeded:
   * finish what is under way, then end. Every call gives the same promise, which keeps the process alive meanwhile.
   *
   * Rejects if this process cannot be restarted any more: with the failure of a restart, once `newProcessFailed` has
   * run, if `exitOnError`; with DRAINING if the service was told to stop; and as `shellflip()` and `service.ready()` do.
   * A refused request (RESTART_IN_PROGRESS, UNSUPPORTED …) is an answer to whoever asked and not a failure.
   */
  run(): Promise<{ pid: number }>
}

/** `spawnRestartTask()`, validated. */
export function startTask(settings: RestartSettings): RestartTask {
  if (currentService() !== null) {
    throw invalidArgument(
      'this process has a restart task or service already, and one process is one service: share it',
    )
  }
  return new Task(settings)
}

class Task implements RestartTask {
  readonly service: Promise<Service>
  readonly #outcome = deferred<{ pid: number }>()
  #run: Promise<{ pid: number }> | null = null
  #failure: unknown = null

  constructor(settings: RestartSettings) {
    const service = startService(optionsOf(settings, (error) => settings.exitOnError && this.#fail(error)))
    this.service = service
    // Whoever runs the task or asks for its service is told; nobody else has to be.
    service.then(
      (started) => this.#follow(started),
      () => {},
    )
    this.#outcome.promise.catch(() => {})
  }

  run(): Promise<{ pid: number }> {
    this.#run ??= new LoopHold().during(this.#ready())
    return this.#run
  }

  async #ready(): Promise<{ pid: number }> {
    const service = await this.service
    await service.ready()
    return this.#outcome.promise
  }

  /** The task is over when the service has stopped accepting, whatever the reason. */
  #follow(service: RunningService<unknown>): void {
    let next: number | null = null
    service.once('restarted', ({ pid }) => {
      next = pid
    })
    service.lost.catch((error: unknown) => this.#fail(error))
    const { signal } = service
    const settle = (): void => {
      if (next !== null) this.#outcome.resolve({ pid: next })
      else this.#outcome.reject(this.#failure ?? signal.reason)
    }
    signal.addEventListener('abort', settle, { once: true })
  }

  /** No further restart is to be had: the service ends, and the application with it. */
  #fail(error: unknown): void {
    this.#failure ??= error
    void this.service.then((service) => service.shutdown())
  }
}

/** Without deadlines and exit of ours: how long this process drains is its ShutdownCoordinator's to say. */
function optionsOf(settings: RestartSettings, failed: (error: ShellflipError) => void): ServiceOptions {
  return {
    socket: settings.enabled ? resolve(settings.coordinationSocketPath) : false,
    restartSignal: settings.restartSignal,
    shutdownSignals: [],
    environment: settings.environment,
    lifecycle: hooksOf(settings.lifecycleHandler, failed),
    drainTimeoutMs: 0,
    shutdownTimeoutMs: 0,
    exit: false,
  }
}

/** The application's hooks; `failed` hears of a restart that failed after the hook for it has run. */
function hooksOf(handler: LifecycleHandler, failed: (error: ShellflipError) => void): LifecycleHandler {
  const { sendToNewProcess } = handler
  return {
    preNewProcess: () => handler.preNewProcess?.(),
    ...(sendToNewProcess === undefined ? {} : { sendToNewProcess: (pipe) => sendToNewProcess.call(handler, pipe) }),
    async newProcessFailed(error) {
      try {
        await handler.newProcessFailed?.(error)
      } finally {
        if (error.code !== 'ERR_SHELLFLIP_UNSUPPORTED') failed(error)
      }
    },
  }
}
