/** Zero-downtime restarts: the public API. */
import './node-version'
import { tellEarlyFailures } from './failing'

export type { RequestOptions } from './asking'
export { RestartCoordinationSocket } from './coordination-socket'
export { ShellflipError, type ShellflipErrorCode, type ShellflipErrorDetails } from './errors'
export { fixupSystemdEnv, RestartConfig, spawnRestartTask, startupComplete } from './restart-config'
export type { RestartConfigInit } from './restart-init'
export type { RestartTask } from './restart-task'
export { receiveFromOldProcess, shellflip } from './shellflip'
export { ShutdownCoordinator, ShutdownHandle, ShutdownSignal, WeakShutdownHandle } from './shutdown'
export type {
  DrainOutcome,
  LifecycleHandler,
  ListeningServer,
  ListenOptions,
  Logger,
  MigrateHooks,
  RestartOutcome,
  Service,
  ServiceCommand,
  ServiceEvents,
  ServiceOptions,
  ServicePhase,
  ServiceStatus,
} from './types'

tellEarlyFailures()
