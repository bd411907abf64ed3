// What Node imports: the same instance as for require(), and got by it. To `export *` from a CommonJS module, as index.mts
// does for bundlers and other runtimes, Node 20 and 22 load a parser that costs more than all the rest of an import.
import { createRequire } from 'node:module'

export const {
  RestartConfig,
  RestartCoordinationSocket,
  ShellflipError,
  ShutdownCoordinator,
  ShutdownHandle,
  ShutdownSignal,
  WeakShutdownHandle,
  fixupSystemdEnv,
  receiveFromOldProcess,
  shellflip,
  spawnRestartTask,
  startupComplete,
} = createRequire(import.meta.url)('./index.js') as typeof import('./index.js')
