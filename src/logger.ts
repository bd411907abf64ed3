/** Where the service speaks: the application's logger, else `process.emitWarning`; every step goes to NODE_DEBUG=shellflip. */
import { debuglog, inspect } from 'node:util'
import type { Logger } from './types'

/** Steps of both generations; costs nothing unless NODE_DEBUG names `shellflip`. */
export const trace = debuglog('shellflip')

const byWarnings: Logger = {
  info: () => undefined,
  warn: (message) => process.emitWarning(message, 'ShellflipWarning'),
  error: (message) => process.emitWarning(message, 'ShellflipWarning'),
}

/** The application's logger or the default one; whatever is said is also traced. */
export function loggerFor(given: Logger | undefined): Logger {
  const target = given ?? byWarnings
  return {
    info: (message) => {
      trace('%s', message)
      target.info(message)
    },
    warn: (message) => {
      trace('warning: %s', message)
      target.warn(message)
    },
    error: (message) => {
      trace('error: %s', message)
      target.error(message)
    },
  }
}

/** A thrown value with its stack, for a log line about somebody else's code. */
export function describeThrown(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.stack ?? `${thrown.name}: ${thrown.message}`
  return inspect(thrown)
}
