/** What ends this process before it calls `shellflip()` is told to the old generation, if one started it. */
import { messageOf } from './errors'
import { isMainThread } from './late'
import { native } from './native'

/** What an uncaught error is called in the answer to whoever asked for the restart. */
export function nameError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${messageOf(error)}` : messageOf(error)
}

const onUncaught = (error: unknown): void => native?.failing(nameError(error))

/** From the import on. */
export function tellEarlyFailures(): void {
  if (native?.inheritance().old && isMainThread()) process.on('uncaughtExceptionMonitor', onUncaught)
}

/** The engine has taken over. */
export function leaveFailuresToEngine(): void {
  process.off('uncaughtExceptionMonitor', onUncaught)
}
