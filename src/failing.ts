/** What ends this process before it calls `shellflip()` is told to the old generation, if one started it. */
import { messageOf } from './errors'
import { isMainThread } from './late'
import { inherits, native } from './native'

/** What an uncaught error is called in the answer to whoever asked for the restart. */
export function nameError(error: unknown): string {
  // What Node makes of a rejection with something that is no error; its text explains rejections, at length.
  if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ERR_UNHANDLED_REJECTION') {
    const [, reason] = /with the reason "(.*)"/s.exec(error.message) ?? []
    return `unhandled rejection: ${reason ?? error.message}`
  }
  if (!(error instanceof Error)) return messageOf(error)
  // Where it is stands in the stack alone, in front of the message.
  const [, where] = error instanceof SyntaxError ? (/^(\S.*:\d+)\n/.exec(error.stack ?? '') ?? []) : []
  return `${error.name}: ${messageOf(error)}${where === undefined ? '' : ` (${where})`}`
}

const onUncaught = (error: unknown): void => native()?.failing(nameError(error))

/** From the import on. */
export function tellEarlyFailures(): void {
  if (inherits && native()?.inheritance().old && isMainThread()) process.on('uncaughtExceptionMonitor', onUncaught)
}

/** The engine has taken over. */
export function leaveFailuresToEngine(): void {
  process.off('uncaughtExceptionMonitor', onUncaught)
}
