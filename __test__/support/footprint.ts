/** Everything a service holds of the machine, to be compared before and after something that must leave nothing. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { entriesBelow } from './directory'
import { descriptors, until } from './processes'
import type { Service } from './spawn'

/** What one generation of a service, and the service around it, holds. Sorted lines, for a readable difference. */
export interface Footprint {
  /** Every process of the service, with its pid; those that nobody has waited for are zombies. */
  processes: string[]
  /** Number and target of each descriptor of that generation, and its flags where it is a standard stream. */
  descriptors: string[]
  /** Its threads: ours by name. */
  threads: string[]
  /** How many it has of the runtime's, which name themselves, each in its own time. */
  runtimeThreads: number
  /** Whatever lies in the service's folder, which is its TMPDIR too. */
  files: string[]
}

/** Made with the first restart, and kept for the next ones on purpose. */
const KEPT = '/memfd:shellflip-launcher'

/** What that generation holds now. */
export function footprint(service: Service, pid = service.pid): Footprint {
  return {
    processes: processesOf(service, pid),
    descriptors: [...descriptors(pid)]
      .filter(([, target]) => !target.startsWith(KEPT))
      .map(([number, target]) => `${number} ${target}${number < 3 ? ` ${flags(pid, number)}` : ''}`)
      .sort(),
    ...threads(pid),
    files: entriesBelow(service.directory)
      .map((entry) => `${entry.parentPath}/${entry.name}${entry.isSocket() ? ' (socket)' : ''}`)
      .sort(),
  }
}

/**
 * What that generation holds once no client is connected to it: a connection that a client has closed stays in the service
 * until that reads its end, and would be missed afterwards.
 */
export async function footprintAtRest(service: Service, pid = service.pid): Promise<Footprint> {
  await atRest(pid)
  return footprint(service, pid)
}

/** Resolves once no client is connected to that generation. */
export async function atRest(pid: number): Promise<void> {
  await until(
    () => connections(pid).length === 0,
    () => `connected still: ${connections(pid).join(', ')}`,
  )
}

/**
 * Asserts that the generation holds what it held. Processes must be as they were at once; a descriptor or a thread may
 * take a moment, since the connection by which the test learnt of the outcome is closing still.
 */
export async function expectUnchanged(service: Service, before: Footprint, pid = service.pid): Promise<void> {
  expect(processesOf(service, pid), 'processes at the moment of the answer').toEqual(before.processes)
  const held = () => {
    const now = footprint(service, pid)
    // From 22 on Node loads the certificates of authorities in a thread of their own, which may outlive the start.
    return { ...now, runtimeThreads: Math.max(now.runtimeThreads, before.runtimeThreads) }
  }
  await expect.poll(held, { timeout: 10_000, interval: 10 }).toEqual(before)
}

/** A file that the test makes meanwhile is no difference. */
export function expectFile(before: Footprint, path: string): void {
  before.files.push(path)
  before.files.sort()
}

function processesOf(service: Service, generation: number): string[] {
  const all = service.everyProcess()
  // An orphan's zombie is for init to reap, or for the reaper above the first generation.
  const ours = new Set(all.map(({ pid }) => pid).filter((pid) => pid === generation || pid !== service.pid))
  return all
    .filter(({ state, parent }) => state !== 'Z' || ours.has(parent))
    .map(({ pid, state, command }) => `${pid} ${state === 'Z' ? 'zombie ' : ''}${command}`)
    .sort()
}

/**
 * The descriptors of that generation that are connections of clients: over TCP, or accepted by a socket that has a path. All
 * sockets but those of another kind: the kernel no longer lists a connection that both sides have closed.
 */
function connections(pid: number): string[] {
  // proc_pid_net(5): of TCP and UDP, local and remote address, state (0A listens), ..., inode; of Unix sockets, flags, type,
  // state (03 is connected), inode, path.
  const tcp = ['tcp', 'tcp6'].flatMap((name) => rows(pid, name)).filter((row) => row[3] === '0A')
  const udp = ['udp', 'udp6'].flatMap((name) => rows(pid, name))
  const unix = rows(pid, 'unix').filter((row) => row[5] !== '03' || row.length <= 7)
  const others = new Set([...tcp, ...udp].map((row) => row[9]).concat(unix.map((row) => row[6])))
  return [...descriptors(pid).values()].filter((target) => {
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
    return inode !== undefined && !others.has(inode)
  })
}

function rows(pid: number, protocol: string): string[][] {
  const [, ...lines] = readFileSync(`/proc/${pid}/net/${protocol}`, 'latin1').trimEnd().split('\n')
  return lines.map((line) => line.trim().split(/\s+/))
}

function flags(pid: number, number: number): string {
  return /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${number}`, 'latin1'))?.[1] ?? ''
}

function threads(pid: number): Pick<Footprint, 'threads' | 'runtimeThreads'> {
  const names = readdirSync(`/proc/${pid}/task`).map((id) =>
    readFileSync(`/proc/${pid}/task/${id}/comm`, 'latin1').trim(),
  )
  const ours = names.filter((name) => name.startsWith('shellflip')).sort()
  return { threads: ours, runtimeThreads: names.length - ours.length }
}
