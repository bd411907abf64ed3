/** Zero-downtime restarts: the public API. */
import { tellEarlyFailures } from './failing'

export { ShellflipError, type ShellflipErrorCode, type ShellflipErrorDetails } from './errors'
export { receiveFromOldProcess } from './receive'
export { shellflip } from './shellflip'
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
