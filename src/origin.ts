/**
 * How this process was started. Recorded when the module is loaded, before the application changes directory, its title
 * or its arguments: a restart repeats the start, not what became of it.
 */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { delimiter, join, relative, resolve, sep } from 'node:path'
import { processKind } from './late'
import { native } from './native'

/** What there is to repeat. */
export interface Origin {
  readonly runtime: 'node' | 'bun' | 'deno'
  readonly kind: 'main' | 'worker thread' | 'cluster worker'
  /** Whether a `--watch` of Node runs this process. */
  readonly watched: boolean
  /** Whether program and script are one file. */
  readonly single: boolean
  /** The executable, by the symlink it was called by if that is known. */
  readonly program: string
  readonly argv: readonly string[]
  readonly execArgv: readonly string[]
  /** The kernel's; empty where it cannot be had. */
  readonly commandLine: readonly string[]
  /** The directory to start in: `$PWD` if that named it, so that a switched symlink leads to the new release. */
  readonly directory: string | null
  /** The script as it was given, where that is known; else as the runtime resolved it. Null: there is none. */
  readonly script: string | null
  /** Whether a file has exactly that name: the runtimes add extensions and index files. */
  readonly scriptFound: boolean
}

/** The start of this process. */
export const origin: Origin = recordOrigin()

function recordOrigin(): Origin {
  const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
  const argv = [...process.argv]
  const execArgv = [...process.execArgv]
  const commandLine = kernelCommandLine()
  const cwd = physicalDirectory()
  const directory = namesTheSame(process.env.PWD, cwd) ? process.env.PWD : cwd
  const path = argv[1]
  const single = isSingle(runtime, path)
  const script = path === undefined || path === '-' || single || isCode(execArgv) ? null : path
  return {
    runtime,
    get kind() {
      return processKind()
    },
    // Whatever a watched program starts inherits the variable, but not the channel to the watcher.
    watched: process.env.WATCH_REPORT_DEPENDENCIES !== undefined && process.send !== undefined,
    single,
    program: programAsGiven(directory),
    argv,
    execArgv,
    commandLine,
    directory,
    script: script === null ? null : scriptAsGiven({ argv, commandLine, cwd, directory }),
    scriptFound: script !== null && existsSync(script),
  }
}

/** Whether the code is among the runtime's own arguments: `-e`, `-p`. */
export function isCode(execArgv: readonly string[]): boolean {
  return execArgv.some((arg) => /^(-e|-p|-pe|--eval|--print)$|^--(eval|print)=/.test(arg))
}

function isSingle(runtime: Origin['runtime'], path: string | undefined): boolean {
  if (runtime === 'bun') return path?.startsWith('/$bunfs/') ?? false
  // Deno has no node:sea; its compiled programs say so themselves.
  if (runtime === 'deno')
    return (globalThis as { Deno?: { build?: { standalone?: boolean } } }).Deno?.build?.standalone === true
  try {
    // Not by process.getBuiltinModule, which Node 21 and the first releases of 22 do not have.
    return (require('node:sea') as typeof import('node:sea')).isSea()
  } catch {
    return false
  }
}

/** Garbage once `process.title` was set; whoever uses it compares it with argv first. */
function kernelCommandLine(): string[] {
  if (process.platform === 'win32') return []
  try {
    return readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(0, -1)
  } catch {
    return native?.commandLine() ?? []
  }
}

function physicalDirectory(): string | null {
  try {
    return process.cwd()
  } catch {
    // Deleted already.
    return null
  }
}

function namesTheSame(path: string | undefined, directory: string | null): path is string {
  if (!path?.startsWith('/') || directory === null) return false
  try {
    const [one, other] = [statSync(path), statSync(directory)]
    return one.dev === other.dev && one.ino === other.ino
  } catch {
    return false
  }
}

/** `execPath` is resolved: the symlink that was called, or found in PATH, leads to the program's next version. */
function programAsGiven(directory: string | null): string {
  const { argv0, execPath } = process
  if (directory === null || argv0 === '') return execPath
  const folders = argv0.includes(sep) ? [''] : (process.env.PATH ?? '').split(delimiter)
  for (const folder of folders) {
    const path = resolve(directory, join(folder, argv0))
    try {
      return realpathSync.native(path) === realpathSync.native(execPath) ? path : execPath
    } catch {
      // Not in this one.
    }
  }
  return execPath
}

interface Given {
  argv: readonly string[]
  commandLine: readonly string[]
  /** The physical directory, and the name of it to re-enter. */
  cwd: string | null
  directory: string | null
}

/**
 * The runtime has resolved a relative script against the physical directory: that names the old release. The kernel knows
 * how it was given; if its word is garbled, a script inside the directory counts as relative.
 */
export function scriptAsGiven({ argv, commandLine, cwd, directory }: Given): string {
  const path = argv[1] ?? ''
  if (cwd === null || !path.startsWith('/')) return path
  const rest = argv.slice(2)
  const tail = commandLine.slice(commandLine.length - rest.length)
  const given = commandLine[commandLine.length - rest.length - 1]
  const trusted = given !== undefined && rest.every((arg, i) => arg === tail[i]) && resolve(cwd, given) === path
  if (trusted) return given.startsWith('-') ? `./${given}` : given
  const inside = path.startsWith(cwd === '/' ? cwd : cwd + sep)
  return directory !== cwd && inside ? relative(cwd, path) : path
}
