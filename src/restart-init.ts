/** What a restart task is made of, and its validation. */
import { environment, isObject, isPath, lifecycle, refuseUnknown, restartSignal, wants } from './options'
import type { LifecycleHandler } from './types'

/** The crate's settings for graceful restarts, by its names and with its defaults except where said. */
export interface RestartConfigInit {
  /** Whether there is a coordination socket beside the signal. Default false. */
  enabled?: boolean
  /** Its path; wanted if `enabled`. A relative one counts from the working directory of the moment it is used. */
  coordinationSocketPath?: string
  /** Variables for the new generation; undefined removes one. Default: none. */
  environment?: Record<string, string | undefined>
  /** Hooks around the start of a new generation. Default: none, the crate's `NullLifecycleHandler`. */
  lifecycleHandler?: LifecycleHandler
  /** Whether a restart that failed ends the task, and so the process. Default true. */
  exitOnError?: boolean
  /** The signal that asks for a restart; false: none. Default `'SIGUSR2'` (the crate's, SIGUSR1, is Node's debugger's). */
  restartSignal?: NodeJS.Signals | false
}

/** Validated, defaults filled in. */
export type RestartSettings = Required<RestartConfigInit>

const KNOWN = [
  'enabled',
  'coordinationSocketPath',
  'environment',
  'lifecycleHandler',
  'exitOnError',
  'restartSignal',
] as const satisfies readonly (keyof RestartConfigInit)[]

/** Throws INVALID_ARG, naming what is wrong. */
export function validateInit(init: RestartConfigInit | undefined): RestartSettings {
  if (init !== undefined && !isObject(init)) throw wants('RestartConfig', init, 'made from an object')
  const given: RestartConfigInit = init ?? {}
  refuseUnknown('RestartConfig', given, KNOWN)
  const { coordinationSocketPath: path = '' } = given
  const settings = {
    enabled: boolean('enabled', given.enabled, false),
    coordinationSocketPath: path,
    environment: environment(given.environment, 'RestartConfig.environment'),
    lifecycleHandler: lifecycle(given.lifecycleHandler, 'RestartConfig.lifecycleHandler'),
    exitOnError: boolean('exitOnError', given.exitOnError, true),
    restartSignal: restartSignal(given.restartSignal, 'RestartConfig.restartSignal'),
  }
  if (settings.enabled ? !isPath(path) : path !== '' && !isPath(path)) {
    throw wants('RestartConfig.coordinationSocketPath', path, 'a path (a non-empty string)')
  }
  return settings
}

function boolean(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value !== 'boolean') throw wants(`RestartConfig.${name}`, value, 'true or false')
  return value
}
