/**
 * The command, directory and environment of the next generation: this process again, as it was started (see `origin`),
 * in the environment as it is now. Whatever cannot be repeated is refused here, before anything is started.
 */
import { accessSync, constants, type Stats, statSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'
import { readFromFiles } from './env-file'
import { ShellflipError, unsupported } from './errors'
import { watchdogInterval } from './manager'
import { isCode, type Origin, origin } from './origin'
import { recorded } from './recorded'
import { SUPERVISED_VARIABLE } from './supervised'
import { detectSupervisor } from './supervisor'
import type { ServiceCommand } from './types'

/** The options that change the command. */
export interface CommandOptions {
  command?: ServiceCommand | undefined
  environment?: Record<string, string | undefined> | undefined
}

/** What the addon starts. */
export interface Launch {
  /** An absolute path; or a name that the launcher is to look for in PATH. */
  file: string
  /** All of them: args[0] is the program's name. */
  args: string[]
  /** KEY=value. */
  environment: string[]
  /** An absolute path, through symlinks as first given. */
  cwd: string
}

/** Each means this one process: the next generation must not believe them, or is given its own. */
const OF_THIS_PROCESS = new Set([
  'NODE_CHANNEL_FD',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'NODE_UNIQUE_ID',
  'WATCHDOG_PID',
  'OXY_NOTIFY_SOCKET',
  'OXY_RESTART_SOCKET',
  'OXY_HANDOVER_PIPE',
  'SHELLFLIP_CHANNEL',
  'SHELLFLIP_GENERATION',
  SUPERVISED_VARIABLE,
  'LISTEN_PID',
  'LISTEN_PIDFDID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
])

/** Of the files as they are near the start. Bun and Deno have such files, too, and read more than those. */
const fromFiles = origin.runtime === 'node' ? readFromFiles(recorded) : new Map<string, string>()

/**
 * The command that starts the next generation. Throws UNSUPPORTED where this process cannot be started again, and
 * SPAWN_FAILED, naming the path, if its directory, program or script is not there.
 */
export function thisProcessAgain(options: CommandOptions = {}, start: Origin = origin): Launch {
  const refused = cannotStartAgain(options, start)
  if (refused !== null) throw refused
  const { command } = options
  const cwd = directoryFor(command, start)
  const environment = environmentFor(options, cwd)
  if (command !== undefined) {
    const file = findProgram(command.file, cwd, environment.get('PATH'), 'correct')
    return { file, args: [command.file, ...command.args], environment: entries(environment), cwd }
  }
  if (start.script !== null && start.scriptFound) mustExist(resolve(cwd, start.script), 'script')
  const file = findProgram(start.program, cwd, undefined, 'set')
  return { file, args: [file, ...argumentsAgain(start)], environment: entries(environment), cwd }
}

/** Why a restart can never work in this process, whatever happens to its files; null if it can. */
export function cannotStartAgain({ command }: CommandOptions = {}, start: Origin = origin): ShellflipError | null {
  if (start.kind === 'worker thread') {
    return unsupported(
      'a worker thread cannot be replaced by itself: call shellflip() in the main thread, and give it the work',
    )
  }
  if (start.kind === 'cluster worker') {
    return unsupported(
      'a cluster worker belongs to its primary, which owns its sockets: run the service as a process of its own, without node:cluster',
    )
  }
  if (start.watched || runtimeArguments(start).some((arg) => /^--(watch|hot)\b/.test(arg))) {
    return unsupported(
      '--watch restarts this process itself, and would start a second one: run the service without --watch',
    )
  }
  if (command !== undefined || start.single) return null
  if (start.runtime === 'deno' && start.commandLine.length === 0) {
    return unsupported('Deno does not tell how it was started on this platform: set the option command')
  }
  if (isFromStdin(start)) {
    return unsupported(
      'this program was read from standard input (or typed in), and cannot be read again: put it in a file, or set the option command',
    )
  }
  return null
}

function isFromStdin({ runtime, argv, execArgv }: Origin): boolean {
  if (runtime === 'deno') return argv[1]?.endsWith('$deno$stdin.mts') ?? false
  return !isCode(execArgv) && (argv[1] === undefined || argv[1] === '-' || execArgv.includes('-'))
}

function argumentsAgain(start: Origin): string[] {
  const { runtime, argv, execArgv, script, single } = start
  const own = runtimeArguments(start).map((arg, i, all) => debuggerElsewhere(arg, all[i - 1]))
  if (single || runtime === 'deno') return [...own, ...argv.slice(2)]
  if (!isCode(execArgv)) return [...own, script ?? argv[1] ?? '', ...argv.slice(2)]
  const rest = argv.slice(1)
  // Behind code Node would take a dash for an option of its own.
  return runtime === 'node' && rest.some((arg) => arg.startsWith('-')) ? [...own, '--', ...rest] : [...own, ...rest]
}

/** What is the runtime's, not the program's. Deno hides it (execArgv is empty): all but the program's own. */
function runtimeArguments({ runtime, argv, execArgv, commandLine, single }: Origin): readonly string[] {
  if (single) return runtime === 'node' ? optionsOfSingle(commandLine.slice(1), argv.slice(2)) : []
  if (runtime !== 'deno') return execArgv
  return commandLine.slice(1, commandLine.length - argv.slice(2).length)
}

const NODE_OPTIONS = '--node-options='

/** Single executables may be built to take such arguments (`execArgvExtension`), which their program does not see. */
function optionsOfSingle(given: readonly string[], seen: readonly string[]): string[] {
  const isOption = (arg: string): boolean => arg.startsWith(NODE_OPTIONS)
  const rest = given.filter((arg) => !isOption(arg))
  if (rest.length !== seen.length || rest.some((arg, i) => arg !== seen[i])) return []
  return given.filter(isOption).map((arg) => NODE_OPTIONS + debuggersElsewhere(arg.slice(NODE_OPTIONS.length)))
}

/**
 * Both generations live for a moment, so that the debugger's port cannot be the same: the system chooses one. Nor may the
 * new one wait for a debugger: it would never be ready.
 */
function debuggerElsewhere(arg: string, before?: string): string {
  if (before !== undefined && /^--(inspect|debug)[-_]port$/.test(before)) return withoutPort(arg)
  const [, name, value] = /^--(inspect(?:[-_](?:brk|wait|port|brk[-_]node))?|debug[-_]port)(?:=(.*))?$/s.exec(arg) ?? []
  if (name === undefined) return arg
  if (name.endsWith('port')) return value === undefined ? arg : `--${name}=${withoutPort(value)}`
  return `--inspect=${withoutPort(value ?? '')}`
}

/** The same of a text such as that of NODE_OPTIONS. */
function debuggersElsewhere(options: string): string {
  const words = options.split(' ')
  return words.map((word, i) => debuggerElsewhere(word, words[i - 1])).join(' ')
}

/** `9229`, `host:9229`, `host`; Bun's may end with a path. */
function withoutPort(address: string): string {
  if (/^\d*$/.test(address)) return '0'
  const [, host = address, path = ''] = /^(.*):\d+(\/.*)?$/s.exec(address) ?? []
  return `${host}:0${path}`
}

function directoryFor(command: ServiceCommand | undefined, start: Origin): string {
  if (command?.cwd === undefined && start.directory === null) {
    throw missing('the working directory was deleted before this process had started: set the option command.cwd')
  }
  const cwd = resolve(start.directory ?? '/', command?.cwd ?? '')
  const what = command?.cwd === undefined ? 'working directory' : 'directory of the option command.cwd'
  if (mustExist(cwd, what)?.isDirectory() === false) throw missing(`the ${what} is not a directory: ${cwd}`)
  return cwd
}

/** Null if it cannot be told. */
function mustExist(path: string, what: string): Stats | null {
  try {
    return statSync(path)
  } catch (error) {
    if (isHidden(error)) return null
    const reason = (error as NodeJS.ErrnoException).code
    throw missing(
      `the ${what} ${path} cannot be found (${reason}): put it back, or start the service anew from where it is now`,
      error,
    )
  }
}

function findProgram(program: string, cwd: string, path: string | undefined, remedy: 'set' | 'correct'): string {
  const folders = program.includes('/') ? [''] : (path ?? '').split(delimiter)
  let reason: unknown
  for (const folder of folders) {
    const file = resolve(cwd, folder, program)
    try {
      accessSync(file, constants.X_OK)
      if (statSync(file).isFile()) return file
    } catch (error) {
      if (isHidden(error)) return program.includes('/') ? file : program
      reason = error
    }
  }
  const where = program.includes('/') ? resolve(cwd, program) : `${program}, looked for in PATH (${path ?? 'not set'}),`
  const why = (reason as NodeJS.ErrnoException | undefined)?.code ?? 'not a file'
  throw missing(`the program ${where} cannot be run (${why}): put it back, or ${remedy} the option command`, reason)
}

/** By Node's permission model, which the launcher does not know: that will find the file, or say what is missing. */
function isHidden(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_ACCESS_DENIED'
}

function missing(message: string, cause?: unknown): ShellflipError {
  return new ShellflipError('ERR_SHELLFLIP_SPAWN_FAILED', message, { phase: 'starting', cause })
}

function environmentFor({ command, environment = {} }: CommandOptions, cwd: string): Map<string, string> {
  const result = new Map<string, string>()
  for (const [key, value] of Object.entries(process.env)) if (value !== undefined) result.set(key, value)
  // It is what leads the next generation through the symlink again, also where the application has removed it.
  result.set('PWD', cwd)
  for (const name of ['NODE_OPTIONS', 'BUN_OPTIONS']) {
    const options = result.get(name)
    if (options !== undefined) result.set(name, debuggersElsewhere(options))
  }
  // Another command may read no files, and what the application has set since is its own.
  const readAgain = command === undefined ? fromFiles : []
  for (const [name, value] of readAgain) if (result.get(name) === value) result.delete(name)
  for (const [key, value] of Object.entries(environment)) {
    if (value === undefined) result.delete(key)
    else result.set(key, value)
  }
  // A watchdog of another process's is not the next generation's either.
  if (watchdogInterval(process.env) === null) result.delete('WATCHDOG_USEC')
  for (const key of OF_THIS_PROCESS) result.delete(key)
  return result.set(SUPERVISED_VARIABLE, detectSupervisor()?.name ?? '')
}

function entries(environment: Map<string, string>): string[] {
  return Array.from(environment, ([key, value]) => `${key}=${value}`)
}
