/**
 * The old generation is killed, in every phase of a restart: the new one goes on, serves at ready(), answers the
 * coordination socket, and nothing but it is left. Whoever asked for the restart learns that its outcome is unknown.
 */
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  askRestart,
  eventOf,
  expectWhole,
  inPhase,
  launcherOf,
  type Serving,
  serving,
  status,
  stop,
  tell,
} from './support/generations'
import { get } from './support/http'
import { silentManager } from './support/manager'
import { alive, gone, until } from './support/processes'
import { exitOf } from './support/reaper'
import { start } from './support/spawn'

const SIGKILL = 9

/** Kills it; whoever asked is told that the outcome is unknown. */
async function killed({ service, pid }: Serving, asked: ReturnType<typeof askRestart>) {
  service.signal('SIGKILL', pid)
  expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: SIGKILL })
  const { code, said } = await asked
  expect(code).toBe(5)
  expect(said).toMatchObject({ ok: false, code: 'ECONNRESET' })
  expect(said.message).toMatch(/^the outcome of the restart is unknown: /)
}

describe('the old generation is killed', () => {
  it('while its hook runs: nothing was started, and a new service takes over its files', async () => {
    const { service, pid } = await serving('hook-waits.mjs')
    const asked = askRestart(service)
    await service.event('hook')
    service.signal('SIGKILL', pid)
    expect((await asked).code).toBe(5)
    // The reaper ends with its last child: no launcher, no generation.
    expect((await service.firstExit).code).toBe(0)
    expect((await askRestart(service)).code).toBe(3)
    const again = start('serves.mjs', { directory: service.directory })
    const ready = await again.event('ready')
    expect(await status(again)).toMatchObject({ pid: ready.pid, generation: 1 })
    await again.restart()
    // The dead one's web.sock is this one's no more.
    await until(() => !alive(Number(ready.pid)), 'the first generation has ended')
    for (const { pid } of again.processes()) again.signal('SIGTERM', pid)
    await until(() => again.processes().length === 0, 'the service has ended')
    expect(existsSync(service.socket)).toBe(false)
  })

  it('while the new one initialises: until ready() a restart is refused with NOT_READY, then it serves', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const launcher = launcherOf(second.pid)
    await killed(old, asked)
    expect(await exitOf(service, launcher)).toEqual({ pid: launcher, code: 0, signal: 0 })
    const refused = await askRestart(service)
    expect(refused).toMatchObject({ code: 1, said: { ok: false, code: 'ERR_SHELLFLIP_NOT_READY' } })
    expect(await status(service)).toMatchObject({ pid: second.pid, phase: 'starting' })
    tell(service, 'go')
    await eventOf(service, 'ready', 2)
    await expectWhole(old, second)
  })

  it('when half of the state is handed over: it is undefined in the new one, as in a first generation', async () => {
    const old = await serving('reads-when-told.mjs')
    const { service, pid } = old
    const asked = askRestart(service)
    await service.event('starting')
    const second = { pid: (await service.event('starting')).pid, generation: 2 }
    expect(second.pid).not.toBe(pid)
    await service.event('handing over')
    // Each answer comes after everything that the event loop had given the engine before: the pipe has its first bytes.
    for (let turn = 0; turn < 2; turn++) await status(service)
    await killed(old, asked)
    tell(service, 'go')
    const [, came = '', all] = await service.line(
      /went away while it handed over its state \((\d+) of (\d+) bytes came\)/,
    )
    expect(Number(came)).toBeGreaterThan(0)
    expect(Number(came)).toBeLessThan(Number(all))
    expect(await service.event('inherited')).toMatchObject({ generation: 1, bytes: null })
    expect(await service.event('inherited')).toMatchObject({ generation: 2, bytes: null })
    await eventOf(service, 'ready', 2)
    await expectWhole(old, second)
  })

  it('when COMMIT is sent', async () => {
    const old = await serving('commits-when-told.mjs')
    const { service } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'blocked', 2)
    await inPhase(service, 'committing')
    await killed(old, asked)
    tell(service, 'go')
    await eventOf(service, 'ready', 2)
    await expectWhole(old, second)
  })

  it('when the new one serves, and the launcher is to let go', async () => {
    const old = await serving('ready-when-told.mjs')
    const { service } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const launcher = launcherOf(second.pid)
    await stop(launcher)
    tell(service, 'go')
    await eventOf(service, 'ready', 2)
    await inPhase(service, 'taking over')
    await killed(old, asked)
    // It cannot hear of the death before it runs again.
    process.kill(launcher, 'SIGCONT')
    expect(await exitOf(service, launcher)).toMatchObject({ signal: 0 })
    await expectWhole(old, second)
  })

  it('when the service manager is being told', async () => {
    const old = await serving('ready-when-told.mjs', { env: { NOTIFY_SOCKET: await silentManager() } })
    const { service } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const launcher = launcherOf(second.pid)
    tell(service, 'go')
    // Gone, while the barrier is not answered: between SERVING and ADOPTED.
    await gone(launcher)
    await inPhase(service, 'taking over')
    await killed(old, asked)
    await expectWhole(old, second)
  })

  it('when the new one has just been adopted, and it still accepts', async () => {
    const old = await serving('kills-old-when-adopted.mjs')
    const { service, pid, port } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    const blocked = get({ port }, '/block').catch((error: Error) => error)
    await service.event('blocked')
    tell(service, 'go')
    expect(await exitOf(service, pid)).toMatchObject({ signal: SIGKILL })
    // Killed before or after it had answered, by microseconds.
    expect([0, 5]).toContain((await asked).code)
    expect(await blocked).toBeInstanceOf(Error)
    await expectWhole(old, second)
  })

  it('while it drains: only what it held is lost', async () => {
    const old = await serving('drains-until-told.mjs')
    const { service, pid, port } = old
    const held = get({ port }, '/hold').catch((error: Error) => error)
    await service.event('held')
    const { code, said } = await askRestart(service)
    expect(code).toBe(0)
    expect(await status(service)).toMatchObject({ pid: said.pid, draining: [{ pid, generation: 1 }] })
    service.signal('SIGKILL', pid)
    expect(await exitOf(service, pid)).toMatchObject({ signal: SIGKILL })
    expect(await held).toBeInstanceOf(Error)
    await expectWhole(old, { pid: said.pid, generation: 2 })
  })
})
