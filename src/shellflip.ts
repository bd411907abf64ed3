/** The way in. How this process was started is recorded at the import; what runs a service is loaded when one is wanted. */
import type { Readable } from 'node:stream'
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

/**
 * The bytes that the old generation's `lifecycle.sendToNewProcess` writes, as a stream that ends when it is done: an
 * empty one if it sends none. Null in a first process, in a worker thread and on a second call. May be called, and read,
 * before or after `shellflip()`. What nobody has begun to read at `service.ready()` is dropped.
 */
export function receiveFromOldProcess(): Readable | null {
  return (require('./receive') as typeof import('./receive')).receive()
}
