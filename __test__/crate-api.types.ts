/** The types of the crate's API, as tsc checks them. Nothing here is run. */
import type { AddressInfo } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import {
  type fixupSystemdEnv,
  type LifecycleHandler,
  RestartConfig,
  type RestartConfigInit,
  RestartCoordinationSocket,
  type RestartTask,
  type receiveFromOldProcess,
  type Service,
  type ShellflipError,
  ShutdownCoordinator,
  type ShutdownHandle,
  type ShutdownSignal,
  spawnRestartTask,
  type startupComplete,
  type WeakShutdownHandle,
} from '@shellflip/node'

/** True only if the two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(..._proof: Same<A, B> extends true ? [] : ['these types differ']): void {}

class Handler implements LifecycleHandler {
  preNewProcess(): void {}
  async sendToNewProcess(pipe: Writable): Promise<void> {
    pipe.end()
  }
  newProcessFailed(error: ShellflipError): void {
    void error.code
  }
}

export async function config(): Promise<void> {
  const made = new RestartConfig({
    enabled: true,
    coordinationSocketPath: '/run/a.sock',
    environment: { SET: 'yes', REMOVED: undefined },
    lifecycleHandler: new Handler(),
    exitOnError: false,
    restartSignal: 'SIGHUP',
  })
  made.enabled = false
  made.restartSignal = false
  same<typeof made.environment, Record<string, string | undefined>>()
  same<ReturnType<typeof made.tryIntoRestartTask>, RestartTask>()
  same<ReturnType<typeof made.requestRestart>, Promise<number>>()
  same<ReturnType<typeof made.requestRestartSync>, number>()
  same<ConstructorParameters<typeof RestartConfig>, [init?: RestartConfigInit]>()
  made.requestRestartSync({ timeoutMs: 0 })
  new RestartConfig()
  // @ts-expect-error: milliseconds, by that name
  await made.requestRestart({ timeout: 1 })
  // @ts-expect-error: a setting that does not exist
  new RestartConfig({ coordinationSocket: '/run/a.sock' })
  // @ts-expect-error: a variable is a string
  new RestartConfig({ environment: { COUNT: 1 } })
  // @ts-expect-error: not a signal
  new RestartConfig({ restartSignal: 'USR2' })
}

export async function task(): Promise<void> {
  const task = spawnRestartTask(new RestartConfig())
  spawnRestartTask({ enabled: false })
  same<Awaited<ReturnType<typeof task.run>>, { pid: number }>()
  same<typeof task.service, Promise<Service>>()
  // @ts-expect-error: the service is the task's to give
  task.service = Promise.reject()
  same<ReturnType<typeof startupComplete>, void>()
  same<ReturnType<typeof fixupSystemdEnv>, void>()
  same<ReturnType<typeof receiveFromOldProcess>, Readable | null>()
  const service = await task.service
  same<ReturnType<typeof service.listen>, Promise<AddressInfo | string>>()
}

export async function socket(): Promise<void> {
  const socket = await RestartCoordinationSocket.connect('/run/a.sock')
  same<typeof socket, RestartCoordinationSocket>()
  same<ReturnType<typeof socket.sendRestartCommand>, Promise<number>>()
  same<ReturnType<typeof socket.close>, void>()
  // @ts-expect-error: it is made by connect()
  new RestartCoordinationSocket()
}

export async function shutdown(): Promise<void> {
  const coordinator = new ShutdownCoordinator()
  same<ReturnType<typeof coordinator.handle>, ShutdownHandle>()
  same<ReturnType<typeof coordinator.handleWeak>, WeakShutdownHandle>()
  same<ReturnType<WeakShutdownHandle['upgrade']>, ShutdownHandle | null>()
  same<ReturnType<typeof coordinator.shutdown>, Promise<void>>()
  same<ReturnType<typeof coordinator.shutdownWithTimeout>, Promise<boolean>>()
  same<ShutdownHandle['signal'], ShutdownSignal>()
}
