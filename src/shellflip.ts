/** The way in. How this process was started is recorded at the import; what runs a service is loaded when one is wanted. */
import './recorded'
import './supervised'
import type { Service, ServiceOptions } from './types'

/**
 * Makes this process a generation of a service that can replace itself without losing a client. Call it once, before
 * anything listens, in the main thread.
 *
 * Rejects with a {@link ShellflipError}: INVALID_ARG for a wrong option or a second call, UNSUPPORTED where restarts
 * cannot work, SOCKET_IN_USE if another process owns the coordination socket, INHERITANCE if what the old generation
 * handed over cannot be used. After a rejection it may be called again. On a platform without an addon the service is
 * inert, as with `enabled: false`, and a warning says so.
 */
export function shellflip<State = unknown>(options?: ServiceOptions<State>): Promise<Service<State>> {
  return (require('./start') as typeof import('./start')).startService(options)
}
