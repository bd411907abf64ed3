/**
 * Generations share the pipes behind stdout and stderr, and with them the flag that says whether a write may block. Node
 * sets it when a program first touches `process.stdout`, and takes it back when the process ends: the old generation's
 * end would leave the new one blocking on a full pipe, and its whole event loop with it.
 */
import { messageOf } from './errors'
import { trace } from './logger'
import { native } from './native'

/** To be called once the old generation is gone: makes stdout and stderr non-blocking again where they are pipes. */
export function keepStdioNonblocking(): void {
  try {
    native()?.restoreStdioNonblock()
  } catch (error) {
    trace('stdout and stderr stay as the old generation left them: %s', messageOf(error))
  }
}
