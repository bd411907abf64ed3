/**
 * How this process was started, as far as it could become untrue: recorded when the package is loaded, before the
 * application changes directory, its title or its arguments, and before a deploy moves a symlink. What follows from it is
 * in `origin`, which is loaded when it is wanted.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { delimiter, resolve, sep } from 'node:path'
import { native } from './native'
import { isThere } from './there'

/** What is recorded. */
export interface Recorded {
  readonly argv: readonly string[]
  readonly execArgv: readonly string[]
  /** The kernel's; empty where it cannot be had. */
  readonly commandLine: readonly string[]
  /** The physical working directory; null: it was deleted already. */
  readonly cwd: string | null
  /** The name of it to re-enter: `$PWD` if that named it, so that a switched symlink leads to the new release. */
  readonly directory: string | null
  /** The executable, by the symlink it was called by if that is known. */
  readonly program: string
  /** Whether a file has exactly the name of `argv[1]`: the runtimes add extensions and index files. */
  readonly scriptFound: boolean
  /** Whether a `--watch` of Node runs this process. */
  readonly watched: boolean
}

/** The start of this process. */
export const recorded: Recorded = record()

function record(): Recorded {
  const { argv, execArgv, env } = process
  const [, script] = argv
  const cwd = physicalDirectory()
  const directory = namesTheSame(env.PWD, cwd) ? env.PWD : cwd
  return {
    argv: [...argv],
    execArgv: [...execArgv],
    commandLine: kernelCommandLine(),
    cwd,
    directory,
    program: programAsGiven(directory),
    scriptFound: script !== undefined && isThere(script),
    // Whatever a watched program starts inherits the variable, but not the channel to the watcher.
    watched: env.WATCH_REPORT_DEPENDENCIES !== undefined && process.send !== undefined,
  }
}

/** Garbage once `process.title` was set; whoever uses it compares it with argv first. */
function kernelCommandLine(): string[] {
  if (process.platform !== 'linux') return []
  try {
    return readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(0, -1)
  } catch {
    return native()?.commandLine() ?? []
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

/** `execPath` is resolved: the symlink that was called, or found in PATH, leads to the program's next version. */
function programAsGiven(directory: string | null): string {
  const { argv0, execPath } = process
  if (directory === null || argv0 === '') return execPath
  const folders = argv0.includes(sep) ? [''] : (process.env.PATH ?? '').split(delimiter)
  for (const folder of folders) {
    // What is absolute is joined by hand: every import waits for this.
    const path = folder.startsWith('/') ? `${folder}/${argv0}` : resolve(directory, folder, argv0)
    // The first one there is the one that was called, or it is not known.
    if (isThere(path)) return namesTheSame(path, execPath) ? resolve(path) : execPath
  }
  return execPath
}

/** Whether that is a name of the file or directory whose physical path is `physical`. */
function namesTheSame(path: string | undefined, physical: string | null): path is string {
  if (!path?.startsWith('/') || physical === null) return false
  if (path === physical) return true
  try {
    return realpathSync.native(path) === physical
  } catch {
    return false
  }
}
