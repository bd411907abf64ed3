/** Validation: every wrong option is refused with its name, what it got and what it wants; nothing is coerced. */

import { constants } from 'node:os'
import { inspect } from 'node:util'
import { invalidArgument } from './errors'
import { INHERITED } from './native'
import { nearest } from './nearest'
import type { LifecycleHandler, Logger, ServiceCommand, ServiceOptions } from './types'

/** Validated options, defaults filled in. */
export interface Settings<State = unknown> {
  enabled: boolean
  /** undefined: the default path; false: none. */
  socket: string | false | undefined
  restartSignal: NodeJS.Signals | false
  shutdownSignals: NodeJS.Signals[]
  readyTimeoutMs: number
  ready: 'manual' | 'listening'
  drainTimeoutMs: number
  shutdownTimeoutMs: number
  shutdownDelayMs: number
  migrateTimeoutMs: number
  handover: (() => State | Promise<State>) | undefined
  lifecycle: LifecycleHandler
  environment: Record<string, string | undefined>
  command: ServiceCommand | undefined
  supervisor: 'auto' | 'ignore'
  fdStore: boolean
  pidFile: string | undefined
  logger: Logger | undefined
  exit: boolean
}

const KNOWN = [
  'enabled',
  'socket',
  'restartSignal',
  'shutdownSignals',
  'readyTimeoutMs',
  'ready',
  'drainTimeoutMs',
  'shutdownTimeoutMs',
  'shutdownDelayMs',
  'migrateTimeoutMs',
  'handover',
  'lifecycle',
  'environment',
  'command',
  'supervisor',
  'fdStore',
  'pidFile',
  'logger',
  'exit',
] as const satisfies readonly (keyof ServiceOptions)[]

const HOOKS = ['preNewProcess', 'sendToNewProcess', 'newProcessFailed'] as const
const LOG_LEVELS = ['info', 'warn', 'error'] as const

/** setTimeout fires at once for anything longer. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Not the application's to change. */
const PROTOCOL_VARIABLES = new Set<string>(INHERITED)

/** Signals that cannot be caught, or that Node or the processor uses. */
const UNUSABLE_SIGNALS: Partial<Record<string, string>> = {
  SIGUSR1: 'Node opens its debugger on it',
  SIGKILL: 'it cannot be caught',
  SIGSTOP: 'it cannot be caught',
  SIGPROF: 'Node uses it for profiling',
  SIGSEGV: 'it is for crashes',
  SIGBUS: 'it is for crashes',
  SIGFPE: 'it is for crashes',
  SIGILL: 'it is for crashes',
}

/** Validates what `shellflip()` was given. Throws INVALID_ARG. */
export function validateOptions<State>(options: ServiceOptions<State> | undefined): Settings<State> {
  if (options !== undefined && !isObject(options)) throw wants('options', options, 'an object')
  const given: ServiceOptions<State> = options ?? {}
  refuseUnknown('options', given, KNOWN)

  const settings: Settings<State> = {
    enabled: boolean('enabled', given.enabled, true),
    socket: socketPath(given.socket),
    restartSignal: restartSignal(given.restartSignal),
    shutdownSignals: shutdownSignals(given.shutdownSignals),
    readyTimeoutMs: milliseconds('readyTimeoutMs', given.readyTimeoutMs, 60_000, '0 disables'),
    ready: oneOf('ready', given.ready, ['manual', 'listening'] as const),
    drainTimeoutMs: milliseconds('drainTimeoutMs', given.drainTimeoutMs, 30_000, '0 disables'),
    shutdownTimeoutMs: milliseconds('shutdownTimeoutMs', given.shutdownTimeoutMs, 8_000, '0 disables'),
    shutdownDelayMs: milliseconds('shutdownDelayMs', given.shutdownDelayMs, 0, '0 means no delay'),
    migrateTimeoutMs: milliseconds('migrateTimeoutMs', given.migrateTimeoutMs, 5_000, '0 moves nothing'),
    handover: optionalFunction('options.handover', given.handover),
    lifecycle: lifecycle(given.lifecycle),
    environment: environment(given.environment),
    command: command(given.command),
    supervisor: oneOf('supervisor', given.supervisor, ['auto', 'ignore'] as const),
    fdStore: boolean('fdStore', given.fdStore, false),
    pidFile: pidFile(given.pidFile),
    logger: logger(given.logger),
    exit: boolean('exit', given.exit, true),
  }

  if (settings.handover !== undefined && given.lifecycle !== undefined) {
    throw invalidArgument(
      'options.handover and options.lifecycle exclude each other: use handover for a structured-cloneable value, ' +
        'lifecycle for a stream of raw bytes',
    )
  }
  if (settings.restartSignal !== false && settings.shutdownSignals.includes(settings.restartSignal)) {
    throw invalidArgument(
      `options.shutdownSignals must not contain options.restartSignal, got ${settings.restartSignal} for both: ` +
        'give each its own signal, or restartSignal: false',
    )
  }
  return settings
}

function socketPath(value: unknown): string | false | undefined {
  if (value === undefined || value === false || isPath(value)) return value
  throw wants('options.socket', value, 'a path (a non-empty string) or false')
}

function pidFile(value: unknown): string | undefined {
  if (value === undefined || isPath(value)) return value
  throw wants('options.pidFile', value, 'a path (a non-empty string)')
}

/** `where` is what the value is called in errors, here and below. */
export function restartSignal(value: unknown, where = 'options.restartSignal'): NodeJS.Signals | false {
  if (value === undefined) return 'SIGUSR2'
  return value === false ? false : signal(where, value, 'a signal name such as "SIGUSR2", or false')
}

function shutdownSignals(value: unknown): NodeJS.Signals[] {
  if (value === undefined) return ['SIGTERM', 'SIGINT']
  if (!Array.isArray(value)) throw wants('options.shutdownSignals', value, 'an array of signal names')
  const names = value.map((each, index) =>
    signal(`options.shutdownSignals[${index}]`, each, 'a signal name such as "SIGTERM"'),
  )
  return [...new Set(names)]
}

function signal(option: string, value: unknown, wanted: string): NodeJS.Signals {
  if (typeof value !== 'string') throw wants(option, value, wanted)
  const reason = UNUSABLE_SIGNALS[value]
  if (reason !== undefined) throw invalidArgument(`${option} must not be ${value} (${reason}): use ${wanted}`)
  // Windows knows few signals; there the service is inert, and the same options must do.
  const known = process.platform === 'win32' ? /^SIG[A-Z]/.test(value) : Object.hasOwn(constants.signals, value)
  if (!known) throw wants(option, value, wanted)
  return value as NodeJS.Signals
}

function milliseconds(option: keyof ServiceOptions, value: unknown, fallback: number, zero: string): number {
  if (value === undefined) return fallback
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw wants(`options.${option}`, value, `an integer >= 0 (milliseconds; ${zero})`)
  }
  if (value > MAX_TIMER_MS) throw wants(`options.${option}`, value, `at most ${MAX_TIMER_MS} (milliseconds; ${zero})`)
  return value
}

function boolean(option: keyof ServiceOptions, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value !== 'boolean') throw wants(`options.${option}`, value, 'true or false')
  return value
}

function oneOf<T extends string>(option: keyof ServiceOptions, value: unknown, allowed: readonly [T, ...T[]]): T {
  if (value === undefined) return allowed[0]
  const found = allowed.find((each) => each === value)
  if (found === undefined) throw wants(`options.${option}`, value, allowed.map((each) => `'${each}'`).join(' or '))
  return found
}

function optionalFunction<F>(where: string, value: F | undefined): F | undefined {
  if (value !== undefined && typeof value !== 'function') throw wants(where, value, 'a function')
  return value
}

export function lifecycle(value: unknown, where = 'options.lifecycle'): LifecycleHandler {
  if (value === undefined) return {}
  if (!isObject(value)) throw wants(where, value, `an object with any of ${HOOKS.join(', ')}`)
  // An instance of a class may have methods of its own; a misspelt hook in a literal is a mistake.
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) refuseUnknown(where, value, HOOKS)
  const handler = value as LifecycleHandler
  for (const hook of HOOKS) optionalFunction(`${where}.${hook}`, handler[hook])
  return handler
}

export function environment(value: unknown, where = 'options.environment'): Record<string, string | undefined> {
  if (value === undefined) return {}
  if (!isObject(value)) throw wants(where, value, 'an object of strings (undefined removes a variable)')
  for (const [key, each] of Object.entries(value)) {
    if (key === '' || key.includes('=') || key.includes('\0')) {
      throw invalidArgument(`${where} has a key no variable can have: ${inspect(key)} (empty, or with = or NUL in it)`)
    }
    if (PROTOCOL_VARIABLES.has(key)) {
      throw invalidArgument(`${where} must not have ${key}: the restart itself sets it`)
    }
    if (each !== undefined && (typeof each !== 'string' || each.includes('\0'))) {
      throw wants(`${where}.${key}`, each, 'a string without NUL, or undefined to remove it')
    }
  }
  return { ...value } as Record<string, string | undefined>
}

function command(value: unknown): ServiceCommand | undefined {
  if (value === undefined) return undefined
  if (!isObject(value)) throw wants('options.command', value, 'an object { file, args, cwd? }')
  refuseUnknown('options.command', value, ['file', 'args', 'cwd'])
  const { file, args, cwd } = value as Record<string, unknown>
  if (!isPath(file)) throw wants('options.command.file', file, 'the program to run (a non-empty string)')
  if (!Array.isArray(args))
    throw wants('options.command.args', args, 'an array of strings (without the program itself)')
  const strings = args.map((each: unknown, index) => {
    if (typeof each === 'string' && !each.includes('\0')) return each
    throw wants(`options.command.args[${index}]`, each, 'a string without NUL')
  })
  if (cwd !== undefined && !isPath(cwd)) throw wants('options.command.cwd', cwd, 'a directory (a non-empty string)')
  return { file, args: strings, ...(cwd === undefined ? {} : { cwd }) }
}

function logger(value: unknown): Logger | undefined {
  if (value === undefined) return undefined
  if (!isObject(value)) throw wants('options.logger', value, 'an object with the functions info, warn and error')
  for (const level of LOG_LEVELS) {
    const each = (value as Record<string, unknown>)[level]
    if (typeof each !== 'function') throw wants(`options.logger.${level}`, each, 'a function (message: string) => void')
  }
  return value as unknown as Logger
}

export function refuseUnknown(where: string, value: object, known: readonly string[]): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const near = nearest(key, known)
    throw invalidArgument(
      `${where} has no ${inspect(key)}${near === undefined ? '' : `: did you mean ${near}?`} (known: ${known.join(', ')})`,
    )
  }
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isPath(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes('\0')
}

export function wants(option: string, got: unknown, wanted: string): Error {
  return invalidArgument(
    `${option} must be ${wanted}, got ${inspect(got, { depth: 0, breakLength: Infinity, maxStringLength: 80 })}`,
  )
}
