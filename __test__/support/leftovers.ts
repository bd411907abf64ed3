/** What a fault may leave behind: a generation, and everything of its service, compared before and after. */
import { readdirSync } from 'node:fs'
import { expect } from 'vitest'
import { socketFiles } from './directory'
import { descriptors, look, processes, until } from './processes'

/** A generation and its service, at one moment. */
export interface Snapshot {
  pid: number
  /** The service's processes by pid (they share a process group): generations, launchers, zombies. */
  processes: string[]
  /** What the generation holds open, such as `socket:[4711]`, sorted. */
  descriptors: string[]
  /** Its threads. */
  threads: number
  /** Socket files below its working directory, temporary names included. */
  sockets: string[]
}

/**
 * Looks at the generation of that pid. What is made once and kept (the launcher's image, epoll descriptors, a thread of
 * libuv's pool) must be there already: let the same fault happen once before.
 */
export function snapshot(pid: number): Snapshot {
  const group = look(pid)?.group
  return {
    pid,
    processes: processes()
      .filter((found) => found.group === group)
      .map(({ pid, state }) => `${pid}${state === 'Z' ? ' zombie' : ''}${state === 'T' ? ' stopped' : ''}`)
      .sort(),
    descriptors: [...descriptors(pid).values()].sort(),
    threads: readdirSync(`/proc/${pid}/task`).length,
    sockets: socketFiles(`/proc/${pid}/cwd/`).sort(),
  }
}

/** Resolves once everything is as it was; else fails, showing what is not. Whoever was answered may be closing still. */
export async function expectNothingLeft(before: Snapshot, deadlineMs = 10_000): Promise<void> {
  const wanted = JSON.stringify(before)
  await until(() => JSON.stringify(snapshot(before.pid)) === wanted, 'everything as it was', deadlineMs).catch(() => {})
  expect(snapshot(before.pid), 'left behind').toEqual(before)
}
