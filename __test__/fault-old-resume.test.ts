/**
 * The new generation dies when it has been adopted, before the old one has stopped accepting: the old one is the service
 * again. And right after: nobody is, and the old one ends what it has. One that was told to end is no loss. What becomes of
 * still older ones meanwhile does not matter.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { expectFile, expectUnchanged, footprintAtRest } from './support/footprint'
import { askRestart, eventOf, expectWhole, type Serving, serving, status, tell } from './support/generations'
import { get } from './support/http'
import { exitOf } from './support/reaper'
import type { Service } from './support/spawn'

/** The old one has 250 ms to stop; a machine that is too slow for the new one to die in that time gets another try. */
const TRIES = 5
/** So many answers in a row are by one process only if no other answers. */
const ASKED = 20

/** What the fixture's pid file says, if it has one. */
function pidFileOf({ directory }: Service): string | null {
  const path = join(directory, 'pid')
  return existsSync(path) ? readFileSync(path, 'utf8') : null
}

/** How a new generation may end. */
type Ends = { code: number; signal: number }[]

const KILLED = { code: 0, signal: 9 }

/** The new one ends as the old one, whose loop is blocked, waits to stop. Null if the old one had given the service away. */
async function takenBack(old: Serving, ends: Ends): Promise<true | null> {
  const { service, pid, port } = old
  const before = await footprintAtRest(service, pid)
  const pidFile = pidFileOf(service)
  for (const file of ['go', 'unblock']) expectFile(before, join(service.directory, file))
  const asked = askRestart(service)
  const second = await eventOf(service, 'listening', 2)
  const blocked = get({ port }, '/block')
  await service.event('blocked')
  tell(service, 'go')
  const { code: exitCode, signal } = await exitOf(service, second.pid)
  expect(ends).toContainEqual({ code: exitCode, signal })
  const { code, said } = await asked
  // It answers although its loop is blocked: the socket is its own again.
  const inTime = code === 1
  if (inTime) {
    expect(said).toMatchObject({ ok: false, code: 'ERR_SHELLFLIP_GENERATION_EXITED' })
    expect(await status(service)).toMatchObject({ pid, generation: 1, phase: 'blocked' })
  }
  tell(service, 'unblock')
  expect(JSON.parse((await blocked).body)).toEqual({ pid, generation: 1 })
  if (!inTime) {
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    return null
  }
  expect(await service.event('failed')).toMatchObject({ pid, code: 'ERR_SHELLFLIP_GENERATION_EXITED' })
  expect(await old.ask()).toEqual({ pid, generation: 1 })
  expect(pidFileOf(service)).toBe(pidFile)
  await expectUnchanged(service, before, pid)
  return true
}

/** Until the old one has taken the service back, and its next restart works. */
async function isTakenBack(program: string, ends: Ends): Promise<void> {
  for (let round = 1; ; round++) {
    const old = await serving(program)
    const { service, pid } = old
    if ((await takenBack(old, ends)) === null) {
      expect(round, 'too slow, every time').toBeLessThan(TRIES)
      // Nothing runs any more. The service's files are left: they were the killed one's by then.
      expect((await service.firstExit).code).toBe(0)
      continue
    }
    tell(service, 'live')
    await expectWhole(old, { pid, generation: 1 })
    return
  }
}

it('a new generation that dies when it is adopted is taken back from, and the old one accepts on all its listeners', () =>
  isTakenBack('dies-when-adopted.mjs', [KILLED]))

it('a new generation that exits when it is adopted is taken back from, and leaves the old one all files of the service', () =>
  // The old one ends what has closed its channel, however far its exit has come.
  isTakenBack('exits-when-adopted.mjs', [{ code: 7, signal: 0 }, KILLED]))

it('a new generation that is told to end when it is adopted is not taken back from: the service ends, and leaves nothing', async () => {
  const { service, pid, port } = await serving('ends-when-adopted.mjs')
  const asked = askRestart(service)
  const second = await eventOf(service, 'listening', 2)
  const blocked = get({ port }, '/block')
  await service.event('blocked')
  tell(service, 'go')
  expect(await exitOf(service, second.pid)).toEqual({ pid: second.pid, code: 0, signal: 0 })
  // The old one has let go by then, or sees the new one end before it has.
  expect([0, 1]).toContain((await asked).code)
  tell(service, 'unblock')
  expect(JSON.parse((await blocked).body)).toEqual({ pid, generation: 1 })
  expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
  expect((await service.firstExit).code).toBe(0)
  await service.clean()
})

it('an older generation that ends while the old one lets go does not bring that back to the coordination socket', async () => {
  const { service, pid, port } = await serving('kills-oldest-when-adopted.mjs')
  const second = await service.restart()
  const asked = askRestart(service)
  const third = await eventOf(service, 'listening', 3)
  const blocked = get({ port }, '/block')
  await service.event('blocked')
  tell(service, 'go')
  expect((await asked).code).toBe(0)
  tell(service, 'unblock')
  expect(JSON.parse((await blocked).body)).toEqual({ pid: second.pid, generation: 2 })
  expect(await exitOf(service, pid)).toMatchObject({ signal: 9 })
  // Two that answer would take turns.
  for (let time = 0; time < ASKED; time++)
    expect(await status(service)).toMatchObject({ pid: third.pid, generation: 3 })
  tell(service, 'released')
  expect(await exitOf(service, second.pid)).toEqual({ pid: second.pid, code: 0, signal: 0 })
  await service.end(third.pid)
})

it('a new generation that dies when the restart is complete is not taken back from: the old one drains and ends', async () => {
  const old = await serving('drains-until-told.mjs')
  const { service, pid, port } = old
  const held = get({ port }, '/hold')
  await service.event('held')
  const { said } = await askRestart(service)
  service.signal('SIGKILL', said.pid)
  expect(await exitOf(service, said.pid)).toMatchObject({ signal: 9 })
  // Nobody serves: whoever supervises the service starts it anew.
  expect((await askRestart(service)).code).toBe(3)
  await expect(old.ask()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  tell(service, 'answer')
  expect(JSON.parse((await held).body)).toEqual({ pid, generation: 1 })
  expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
  expect((await service.firstExit).code).toBe(0)
})
