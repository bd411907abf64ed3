/** How this process was started, and so how the next generation is to be. */
import { relative, resolve, sep } from 'node:path'
import { processKind } from './late'
import { type Recorded, recorded } from './recorded'

/** What there is to repeat. */
export interface Origin extends Omit<Recorded, 'cwd'> {
  readonly runtime: 'node' | 'bun' | 'deno'
  readonly kind: 'main' | 'worker thread' | 'cluster worker'
  /** Whether program and script are one file. */
  readonly single: boolean
  /** The script as it was given, where that is known; else as the runtime resolved it. Null: there is none. */
  readonly script: string | null
}

/** The start of this process. */
export const origin: Origin = originOf(recorded)

function originOf(start: Recorded): Origin {
  const { argv, execArgv } = start
  const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
  const path = argv[1]
  const single = isSingle(runtime, path)
  const script = path === undefined || path === '-' || single || isCode(execArgv) ? null : path
  return {
    ...start,
    runtime,
    get kind() {
      return processKind()
    },
    single,
    script: script === null ? null : scriptAsGiven(start),
    scriptFound: script !== null && start.scriptFound,
  }
}

/** Whether the code is among the runtime's own arguments: `-e`, `-p`, or a snapshot of a program that was loaded before. */
export function isCode(execArgv: readonly string[]): boolean {
  return execArgv.some((arg) => /^(-e|-p|-pe|--eval|--print|--snapshot-blob)$|^--(eval|print|snapshot-blob)=/.test(arg))
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

type Start = Pick<Recorded, 'argv' | 'commandLine' | 'cwd' | 'directory'>

/**
 * The runtime has resolved a relative script against the physical directory: that names the old release. The kernel knows
 * how it was given; if its word is garbled, a script inside the directory counts as relative.
 */
export function scriptAsGiven({ argv, commandLine, cwd, directory }: Start): string {
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
