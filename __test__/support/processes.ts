/** What the kernel knows of processes, read from /proc. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'

/** One process, as it was when looked at. */
export interface Process {
  pid: number
  parent: number
  group: number
  /** A letter: R running, S sleeping, T stopped, Z zombie. */
  state: string
  command: string
}

/** The process of that pid; undefined if there is none. */
export function look(pid: number): Process | undefined {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The name, in parentheses, may hold anything.
  const end = stat.lastIndexOf(')')
  const [state = '', parent, group] = stat.slice(end + 2).split(' ')
  const command = (read(`/proc/${pid}/cmdline`) ?? '').split('\0').join(' ').trim()
  return { pid, parent: Number(parent), group: Number(group), state, command: command || stat.slice(0, end + 1) }
}

/** All processes, zombies included. */
export function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => look(Number(name)))
    .filter((found) => found !== undefined)
}

/** A child of that process. Throws if there is none: a signal to nobody's pid would be one to the tests themselves. */
export function childOf(pid: number): Process {
  const child = processes().find(({ parent }) => parent === pid)
  if (child === undefined) throw new Error(`process ${pid} has no child`)
  return child
}

/** The children of a process that nobody has waited for. */
export function zombies(pid: number): Process[] {
  return processes().filter(({ parent, state }) => parent === pid && state === 'Z')
}

/** True if the process was started with that variable. */
export function hasVariable(pid: number, name: string, value: string): boolean {
  return read(`/proc/${pid}/environ`)?.split('\0').includes(`${name}=${value}`) ?? false
}

/** What a process holds open: number to link, such as `socket:[4711]`. Its own reading of /proc/self/fd is not seen. */
export function descriptors(pid: number): Map<number, string> {
  const open = new Map<number, string>()
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      open.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`))
    } catch {
      // Closed meanwhile.
    }
  }
  return open
}

/** True while the process runs. A zombie does not, unless only its first thread has ended. */
export function alive(pid: number): boolean {
  const found = look(pid)
  return found !== undefined && (found.state !== 'Z' || threads(pid) > 1)
}

function threads(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length
  } catch {
    return 0
  }
}

/** Resolves once `condition` holds; rejects after `deadlineMs`, saying what was waited for. For what has no event. */
export async function until(
  condition: () => boolean,
  what: string | (() => string),
  deadlineMs = 10_000,
): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!condition()) {
    if (performance.now() > end) {
      throw new Error(`waited ${deadlineMs} ms in vain: ${typeof what === 'string' ? what : what()}`)
    }
    await sleep(5)
  }
}

/** Resolves once the process has ended, and all that it printed is read. */
export async function gone(pid: number, deadlineMs?: number): Promise<void> {
  await until(
    () => !alive(pid),
    () => `process ${pid} still runs: ${look(pid)?.command}`,
    deadlineMs,
  )
  // Its last words are in the pipe by now; the event loop looks there once in the second of two turns for certain.
  await turn()
  await turn()
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
