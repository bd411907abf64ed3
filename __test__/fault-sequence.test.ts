/** Things done twice, too early, too late, at once, and faster than they end. */
import { describe, expect, it } from 'vitest'
import { askRestart, eventOf, expectWhole, launcherOf, serving, status, stop, tell } from './support/generations'
import { get } from './support/http'
import { type Phase, standing } from './support/phases'
import { exitOf, startReaped } from './support/reaper'

const refusal = (code: string) => ({ ok: false, code: `ERR_SHELLFLIP_${code}` })

describe('a restart asked for too early', () => {
  it('of a first generation that is not ready is refused with NOT_READY', async () => {
    const service = startReaped('first-ready-when-told.mjs')
    const { pid } = await service.event('listening')
    expect(await askRestart(service)).toMatchObject({ code: 1, said: refusal('NOT_READY') })
    tell(service, 'go')
    await service.event('ready')
    await service.restart()
    expect(await exitOf(service, Number(pid))).toMatchObject({ code: 0, signal: 0 })
    await service.end()
  })

  it('by a generation itself: NOT_READY before it serves, RESTART_IN_PROGRESS until it is adopted', async () => {
    const old = await serving('asks-too-early.mjs')
    const { service } = old
    expect(await service.event('refused')).toMatchObject({ generation: 1, code: 'ERR_SHELLFLIP_NOT_READY' })
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    expect(await service.event('refused')).toMatchObject({ generation: 2, code: 'ERR_SHELLFLIP_NOT_READY' })
    const launcher = launcherOf(second.pid)
    await stop(launcher)
    tell(service, 'go')
    expect(await service.event('refused')).toMatchObject({
      generation: 2,
      when: 'serving',
      code: 'ERR_SHELLFLIP_RESTART_IN_PROGRESS',
    })
    process.kill(launcher, 'SIGCONT')
    expect((await asked).code).toBe(0)
    const third = await service.restart()
    expect(third.generation).toBe(3)
    await service.end()
  })
})

describe('a restart asked for too late', () => {
  it('while the service shuts down is refused with DRAINING, by the command line and in the process', async () => {
    const { service, pid, port } = await serving('asks-while-draining.mjs')
    const held = get({ port }, '/hold').catch((error: Error) => error)
    await service.event('held')
    service.signal('SIGTERM', pid)
    expect(await service.event('refused')).toMatchObject({ reason: 'shutdown', code: 'ERR_SHELLFLIP_DRAINING' })
    expect(await askRestart(service)).toMatchObject({ code: 1, said: refusal('DRAINING') })
    expect(await held).toBeInstanceOf(Error)
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    await service.clean()
  })

  it('of a generation that was replaced is refused with DRAINING; the command line reaches the new one', async () => {
    const old = await serving('asks-while-draining.mjs')
    const { service, pid, port } = old
    const held = get({ port }, '/hold').catch((error: Error) => error)
    await service.event('held')
    const second = await service.restart()
    expect(await service.event('refused')).toMatchObject({ pid, reason: 'restart', code: 'ERR_SHELLFLIP_DRAINING' })
    expect(await status(service)).toMatchObject({ pid: second.pid, draining: [{ pid }] })
    const third = await service.restart()
    expect(third.generation).toBe(3)
    expect(await held).toBeInstanceOf(Error)
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    await expectWhole(old, third)
  })
})

describe('a second restart while one is under way', () => {
  it.each<Phase>(['P', 'I', 'C', 'A'])('in %s is refused at once, and the first goes on', async (phase) => {
    const old = await standing(phase)
    const { service, pid, asked, goOn } = old
    const refused = await Promise.all([askRestart(service), askRestart(service)])
    for (const each of refused) expect(each).toMatchObject({ code: 4, said: refusal('RESTART_IN_PROGRESS') })
    // By its signal as well: nobody is told but the log.
    service.signal('SIGUSR2', pid)
    await service.line(/a restart was asked for by a signal and refused: a restart is in progress/)
    goOn()
    const { code, said } = await asked
    expect(code).toBe(0)
    expect(await exitOf(service, pid)).toMatchObject({ code: 0, signal: 0 })
    await expectWhole(old, { pid: said.pid, generation: 2 })
  })
})

describe('ten restarts, faster than the drains', () => {
  it('all overlap, every request is answered by the generation that took it, and every generation exits with 0', async () => {
    const old = await serving('drains-until-told.mjs')
    const { service, port } = old
    const generations = [{ pid: old.pid, generation: 1 }]
    const held: ReturnType<typeof get>[] = []
    for (let generation = 1; generation <= 10; generation++) {
      held.push(get({ port }, '/hold'))
      expect(await service.event('held')).toMatchObject({ generation })
      const { pid } = await service.restart()
      generations.push({ pid, generation: generation + 1 })
    }
    const last = generations.pop() ?? { pid: 0, generation: 0 }
    const { draining } = await status(service)
    expect(draining.map(({ pid, generation }: { pid: number; generation: number }) => ({ pid, generation }))).toEqual(
      generations,
    )
    expect(await old.ask()).toEqual(last)
    tell(service, 'answer')
    const answers = await Promise.all(held)
    expect(answers.map(({ body }) => JSON.parse(body))).toEqual(generations)
    for (const { pid } of generations) expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    expect(service.output.text()).not.toContain('ShellflipWarning')
    await expectWhole(old, last)
  })

  it('each within its deadline, though its request never ends, and no other is touched by that', async () => {
    const old = await serving('drains-until-told.mjs', { env: { DRAIN_TIMEOUT_MS: '500' } })
    const { service, port } = old
    const pids = [old.pid]
    const held: Promise<unknown>[] = []
    for (let generation = 1; generation <= 10; generation++) {
      held.push(get({ port }, '/hold').catch((error: NodeJS.ErrnoException) => error.code))
      expect(await service.event('held')).toMatchObject({ generation })
      pids.push((await service.restart()).pid)
    }
    const last = pids.pop() ?? 0
    for (const pid of pids) {
      expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
      expect(await service.event('drained')).toMatchObject({ cut: 1 })
    }
    expect(await Promise.all(held)).toEqual(pids.map(() => 'ECONNRESET'))
    await expectWhole(old, { pid: last, generation: 11 })
  })
})
