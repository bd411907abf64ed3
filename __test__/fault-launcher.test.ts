/**
 * The launcher is killed or stopped, at every moment of a restart. Until the new generation is committed that fails the
 * restart; from then on it is as good as let go. Nothing is left of it, and no process that it started.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { expectUnchanged, footprintAtRest } from './support/footprint'
import {
  askRestart,
  eventOf,
  expectWhole,
  inPhase,
  launcherOf,
  serving,
  status,
  stop,
  tell,
} from './support/generations'
import { gone, look, until } from './support/processes'
import { exitOf } from './support/reaper'
import type { Service } from './support/spawn'

/** A generation that was started in vain has ended: by SIGKILL, or by the ABORT that it heard a moment before. */
async function calledOff(service: Service, pid: number): Promise<void> {
  const { code, signal } = await exitOf(service, pid)
  expect([
    [0, 9],
    [1, 0],
  ]).toContainEqual([code, signal])
}

describe('the launcher is killed', () => {
  it('while the new generation starts: that is ended with it, and the old one goes on', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service, pid } = old
    const before = await footprintAtRest(service, pid)
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    process.kill(launcherOf(second.pid), 'SIGKILL')
    const { code, said } = await asked
    expect(code).toBe(1)
    expect(said).toMatchObject({ ok: false, code: 'ERR_SHELLFLIP_SPAWN_FAILED' })
    expect(said.message).toMatch(/^the launcher ended without a report \(killed\?\)/)
    expect(look(second.pid)?.state ?? 'Z').toBe('Z')
    await calledOff(service, second.pid)
    expect(await service.event('failed')).toMatchObject({ pid, code: 'ERR_SHELLFLIP_SPAWN_FAILED' })
    await expectUnchanged(service, before, pid)
    tell(service, 'go')
    await expectWhole(old, { pid, generation: 1 })
  })

  it('when COMMIT is sent: it is as good as let go', async () => {
    const old = await serving('commits-when-told.mjs')
    const { service, pid } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'blocked', 2)
    await inPhase(service, 'committing')
    const launcher = launcherOf(second.pid)
    process.kill(launcher, 'SIGKILL')
    await gone(launcher)
    tell(service, 'go')
    expect(await asked).toMatchObject({ code: 0, said: { ok: true, ...second } })
    expect(await exitOf(service, pid)).toMatchObject({ code: 0, signal: 0 })
    await expectWhole(old, second)
  })

  it('when COMMIT is sent, and then the new generation dies: the old one goes on', async () => {
    const old = await serving('commits-when-told.mjs')
    const { service, pid } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'blocked', 2)
    await inPhase(service, 'committing')
    const launcher = launcherOf(second.pid)
    process.kill(launcher, 'SIGKILL')
    await gone(launcher)
    process.kill(second.pid, 'SIGKILL')
    expect(await asked).toMatchObject({ code: 1, said: { ok: false, code: 'ERR_SHELLFLIP_GENERATION_EXITED' } })
    tell(service, 'go')
    await expectWhole(old, { pid, generation: 1 })
  })

  it('when it is to let go: it is as good as let go', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service, pid } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const launcher = launcherOf(second.pid)
    await stop(launcher)
    tell(service, 'go')
    await inPhase(service, 'taking over')
    process.kill(launcher, 'SIGKILL')
    expect(await asked).toMatchObject({ code: 0, said: { ok: true, ...second } })
    expect(await exitOf(service, pid)).toMatchObject({ code: 0, signal: 0 })
    await expectWhole(old, second)
  })

  it('in the microseconds around the start of the new one: no restart hangs, and no process is left', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service, pid } = old
    const before = await footprintAtRest(service, pid)
    for (let round = 0; round < 12; round++) {
      const asked = askRestart(service)
      // The new one is not ready before it is told: the launcher cannot have let go.
      await killLauncher(pid, round * 150)
      const { code, said } = await asked
      expect([code, said.code]).toEqual([1, 'ERR_SHELLFLIP_SPAWN_FAILED'])
      await service.event('failed')
      expect(await old.ask()).toEqual({ pid, generation: 1 })
      await until(() => service.everyProcess().length === 2, 'the reaper and one generation')
      await expectUnchanged(service, before, pid)
    }
    tell(service, 'go')
    await expectWhole(old, { pid, generation: 1 })
  })
})

/** Kills the launcher so many microseconds after it is seen. */
async function killLauncher(parent: number, microseconds: number): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const launcher = children(parent).find((pid) => look(pid)?.command === 'shellflip-launcher')
    if (launcher !== undefined) {
      const moment = performance.now() + microseconds / 1000
      while (performance.now() < moment);
      process.kill(launcher, 'SIGKILL')
      return
    }
    expect(performance.now(), 'no launcher was seen').toBeLessThan(deadline)
    // The command that asks for the restart is this process's to start.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** The children of all its threads. */
function children(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim()
  return list === '' ? [] : list.split(' ').map(Number)
}

describe('the launcher is stopped', () => {
  it('when it is to let go: after 5 s it is ended, and the restart is through', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service, pid } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const launcher = launcherOf(second.pid)
    await stop(launcher)
    tell(service, 'go')
    expect(await asked).toMatchObject({ code: 0, said: { ok: true, ...second } })
    expect(look(launcher)).toBeUndefined()
    await service.line(/the launcher did not let go of the new generation within 5 s and was ended/)
    expect(await exitOf(service, pid)).toMatchObject({ code: 0, signal: 0 })
    await expectWhole(old, second)
  })

  it('and the new generation dies: that is noticed without it', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service, pid } = old
    const before = await footprintAtRest(service, pid)
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const launcher = launcherOf(second.pid)
    await stop(launcher)
    process.kill(second.pid, 'SIGKILL')
    expect(await asked).toMatchObject({ code: 1, said: { ok: false, code: 'ERR_SHELLFLIP_GENERATION_EXITED' } })
    expect(look(launcher)).toBeUndefined()
    expect(await exitOf(service, second.pid)).toMatchObject({ signal: 9 })
    await expectUnchanged(service, before, pid)
    tell(service, 'go')
    await expectWhole(old, { pid, generation: 1 })
  })

  it('and the new generation dies when it serves already: the old one goes on', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service, pid } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const launcher = launcherOf(second.pid)
    await stop(launcher)
    tell(service, 'go')
    await eventOf(service, 'ready', 2)
    await inPhase(service, 'taking over')
    process.kill(second.pid, 'SIGKILL')
    expect(await asked).toMatchObject({ code: 1, said: { ok: false, code: 'ERR_SHELLFLIP_GENERATION_EXITED' } })
    expect(look(launcher)).toBeUndefined()
    await expectWhole(old, { pid, generation: 1 })
  })

  it('and the service is told to end: both are ended, and it exits', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service, pid } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const launcher = launcherOf(second.pid)
    await stop(launcher)
    service.signal('SIGTERM', pid)
    expect(await asked).toMatchObject({ code: 1, said: { ok: false, code: 'ERR_SHELLFLIP_DRAINING' } })
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    await calledOff(service, second.pid)
    // The reaper ends when nothing is left: no launcher, stopped or not.
    expect((await service.firstExit).code).toBe(0)
    await service.clean()
  })

  it('and goes on in time: nobody notices', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service, pid } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const launcher = launcherOf(second.pid)
    await stop(launcher)
    tell(service, 'go')
    await inPhase(service, 'taking over')
    expect(await status(service)).toMatchObject({ pid, phase: 'restarting' })
    process.kill(launcher, 'SIGCONT')
    expect(await asked).toMatchObject({ code: 0, said: { ok: true, ...second } })
    await expectWhole(old, second)
    expect(service.output.text()).not.toContain('ShellflipWarning')
  })
})
