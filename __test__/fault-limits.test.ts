/** Promise 3: the machine gives no more descriptors, processes or memory. The service goes on, and says what to raise. */
import { execFileSync } from 'node:child_process'
import { chownSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { Faulty, survives } from './support/fault'
import { needsRoot } from './support/privileges'
import { descriptors } from './support/processes'

/** A user that nobody is: the limit of processes counts all that a user has. */
const SOMEBODY = 61_000 + (process.pid % 4_000)
/** Enough for everything. */
const PLENTY = 4096

/** Sets a limit of a running service of that user, now. */
function limit(pid: number, name: 'nofile' | 'nproc', value: number, uid?: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--${name}=${value}:${PLENTY}`], { uid, gid: uid })
}

/** The limit under which a process can open so many descriptors more: they are numbered from the lowest free one on. */
function descriptorsFor(pid: number, room: number): number {
  const open = descriptors(pid)
  let number = 0
  for (let free = 0; open.has(number) || free < room; number += 1) if (!open.has(number)) free += 1
  return number
}

/**
 * Restarts with room for nothing, for one more, for two more: until it succeeds, or with room for all after `most` times.
 * After each failure the service is as it was. Resolves with what it said.
 */
async function squeezed(
  faulty: Faulty,
  most: number,
  squeeze: (room: number) => void,
  relax: () => void,
): Promise<string[]> {
  const { service } = faulty
  const said: string[] = []
  for (let room = 0; ; room += 1) {
    if (room < most) squeeze(room)
    service.signal('SIGUSR2')
    const outcome = await service.output.take(
      (line) => (/"event":"(ready|failed)"/.test(line) ? line : undefined),
      'an outcome',
    )
    const { event, code, message, pid } = JSON.parse(outcome)
    // The old one accepts for a moment still, or may be gone by now.
    if (event === 'ready') {
      expect(await service.firstExit).toEqual({ code: 0, signal: null })
      await faulty.serves(pid, 2)
      await service.end(pid)
      return said
    }
    relax()
    expect(room, message).toBeLessThan(most)
    said.push(`${code}: ${message}`)
    await faulty.unharmed()
  }
}

/** Whatever was not started for want of something names what to raise. */
function expectAdvice(said: string[], count: number, advice: RegExp): void {
  const refused = said.filter((text) => text.startsWith('ERR_SHELLFLIP_SPAWN_FAILED'))
  expect(refused.length, said.join('\n')).toBeGreaterThanOrEqual(count)
  for (const text of refused) expect(text).toMatch(advice)
}

describe('no descriptor is left', () => {
  it('to the old generation: wherever it meets the end of them', async () => {
    const faulty = await Faulty.start('serves.mjs')
    const { pid } = faulty.service
    const said = await squeezed(
      faulty,
      60,
      (room) => limit(pid, 'nofile', descriptorsFor(pid, room)),
      () => limit(pid, 'nofile', PLENTY),
    )
    // Ten are needed at the least: two pipes, the channel, the launcher's socket and its streams.
    expectAdvice(said, 10, /^[A-Z_]+: cannot .* \(EMFILE, Too many open files\): raise the limit of open files/)
  })

  it('to the new generation', () =>
    survives(
      'starts-by-shell.mjs',
      {
        code: 'GENERATION_EXITED',
        phase: 'starting',
        anyEnd: true,
        message: /^generation 2 .* while starting .*: see what/,
      },
      { env: { FAULT: 'ulimit -n 8' } },
    ))
})

describe('no process is left', () => {
  needsRoot()

  it('to the user of the service: wherever it meets the end of them', async () => {
    const directory = temporaryDirectory()
    chownSync(directory, SOMEBODY, SOMEBODY)
    writeFileSync(join(directory, 'mended'), '')
    // Node may hang where it gets no thread: then the deadline ends it.
    const env = { READY_TIMEOUT_MS: 'soon' }
    const faulty = await Faulty.start('never-ready.mjs', { directory, env, uid: SOMEBODY, gid: SOMEBODY })
    const { pid } = faulty.service
    const tasks = readdirSync(`/proc/${pid}/task`).length
    const said = await squeezed(
      faulty,
      4,
      (room) => limit(pid, 'nproc', tasks + room, SOMEBODY),
      () => limit(pid, 'nproc', PLENTY, SOMEBODY),
    )
    // The launcher's, the new generation's.
    expectAdvice(said, 2, /^[A-Z_]+: cannot .* \(EAGAIN, .*\): raise the limit of processes/)
  })
})

describe('no memory is left', () => {
  it('to the new generation', () =>
    survives(
      'starts-by-shell.mjs',
      {
        code: 'GENERATION_EXITED',
        phase: 'starting',
        anyEnd: true,
        message: /^generation 2 .* while starting .*: see what/,
      },
      { env: { FAULT: 'ulimit -v 400000' } },
    ))
})
