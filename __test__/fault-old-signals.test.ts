/** SIGTERM and SIGINT while a restart is under way: to the old generation, to the new one, to all of the service. */
import { describe, expect, it } from 'vitest'
import { connect, frame, rest, STOP } from './support/coordination.mjs'
import { askRestart, expectWhole, serving, status, stop, tell } from './support/generations'
import { get } from './support/http'
import { type Phase, standing } from './support/phases'
import { look, until } from './support/processes'
import { exitOf } from './support/reaper'

const CALLED_OFF = { code: 1, said: { ok: false, code: 'ERR_SHELLFLIP_DRAINING' } }
const DIED = { code: 1, said: { ok: false, code: 'ERR_SHELLFLIP_GENERATION_EXITED' } }

describe.each(['SIGTERM', 'SIGINT'] as const)('%s to the old generation', (signal) => {
  it.each(['P', 'I'] as const)('in %s calls the restart off: the service ends, and leaves nothing', async (phase) => {
    const { service, pid, asked, second } = await standing(phase)
    service.signal(signal, pid)
    expect(await asked).toMatchObject(CALLED_OFF)
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    // Reaped before anybody was told.
    if (phase === 'I') expect(look(second.pid)).toBeUndefined()
    expect((await service.firstExit).code).toBe(0)
    await service.clean()
  })

  it.each(['C', 'A'] as const)('in %s lets the restart finish, and is passed on to the new one', async (phase) => {
    const { service, pid, asked, second, goOn } = await standing(phase)
    service.signal(signal, pid)
    await service.line(/<- Shutdown$/)
    goOn()
    expect(await asked).toMatchObject({ code: 0, said: { ok: true, pid: second.pid } })
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    expect(await exitOf(service, second.pid)).toEqual({ pid: second.pid, code: 0, signal: 0 })
    expect((await service.firstExit).code).toBe(0)
    await service.clean()
  })
})

describe('SIGTERM to the old generation', () => {
  it('in C, and then the new one dies: the service ends', async () => {
    const { service, pid, asked, second } = await standing('C')
    service.signal('SIGTERM', pid)
    await service.line(/<- Shutdown$/)
    service.signal('SIGKILL', second.pid)
    expect((await asked).code).toBe(1)
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    expect((await service.firstExit).code).toBe(0)
    await service.clean()
  })

  it('in D leaves the new one alone, and gives the drain no more time than a shutdown has', async () => {
    const old = await serving('drains-until-told.mjs', { env: { SHUTDOWN_TIMEOUT_MS: '200' } })
    const { service, pid, port } = old
    const held = get({ port }, '/hold').catch((error: Error) => error)
    await service.event('held')
    const { said } = await askRestart(service)
    await service.event('draining')
    service.signal('SIGTERM', pid)
    expect(await service.event('drained')).toMatchObject({ pid, cut: 1 })
    expect(await held).toBeInstanceOf(Error)
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    await expectWhole(old, { pid: said.pid, generation: 2 })
  })
})

it('a stop that the old one hears when it drains, over a connection from before: the service ends', async () => {
  const { service, pid, port } = await serving('drains-until-told.mjs')
  const held = get({ port }, '/hold')
  await service.event('held')
  const socket = await connect(service.socket)
  // Answered by whoever has accepted the connection before it.
  await status(service)
  const { said } = await askRestart(service)
  await service.event('draining')
  socket.write(frame(STOP))
  expect(await service.event('draining')).toMatchObject({ pid: said.pid, reason: 'shutdown' })
  expect(await exitOf(service, said.pid)).toEqual({ pid: said.pid, code: 0, signal: 0 })
  tell(service, 'answer')
  await held
  expect((await rest(socket)).toString()).toContain(`{"Stopping":${pid}}`)
  expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
  expect((await service.firstExit).code).toBe(0)
  await service.clean()
})

describe('SIGTERM to the new generation', () => {
  it.each(['I', 'C'] as const)('in %s ends it at once, and the old one goes on', async (phase) => {
    const old = await standing(phase)
    const { service, pid, asked, second } = old
    service.signal('SIGTERM', second.pid)
    const outcome = await asked
    expect(outcome).toMatchObject(DIED)
    expect(outcome.said.message).toMatch(/^generation 2 was ended by SIGTERM /)
    old.goOn()
    await expectWhole(old, { pid, generation: 1 })
  })

  it('in A, where supervisors may know it as the main process: the restart goes through, and the service ends', async () => {
    const { service, pid, asked, second, goOn } = await standing('A')
    service.signal('SIGTERM', second.pid)
    await service.line(/to end, once the service is ours$/)
    goOn()
    expect(await asked).toMatchObject({ code: 0, said: { ok: true, pid: second.pid } })
    for (const each of [pid, second.pid]) {
      expect(await exitOf(service, each)).toEqual({ pid: each, code: 0, signal: 0 })
    }
    expect((await service.firstExit).code).toBe(0)
    await service.clean()
  })

  it('in A, and SIGINT twice, which it does not wait after: the old one ends the service', async () => {
    const { service, pid, asked, second, goOn } = await standing('A')
    service.signal('SIGINT', second.pid)
    await service.line(/to end, once the service is ours$/)
    service.signal('SIGINT', second.pid)
    await until(() => look(second.pid)?.state === 'Z', 'it does not end')
    goOn()
    expect(await asked).toMatchObject(DIED)
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    expect((await service.firstExit).code).toBe(0)
    await service.clean()
  })

  it('in A, and it is not adopted within 5 s: it drains and exits, and the old one goes on, with all its files', async () => {
    const old = await standing('A')
    const { service, pid, asked, second } = old
    await stop(pid)
    service.signal('SIGTERM', second.pid)
    await service.line(/draining: the service shuts down$/)
    // While it drains it could still be adopted.
    await until(() => look(second.pid)?.state === 'Z', 'it does not end')
    process.kill(pid, 'SIGCONT')
    expect(await asked).toMatchObject(DIED)
    expect(await status(service)).toMatchObject({ pid, phase: 'ready' })
    await expectWhole(old, { pid, generation: 1 })
  })

  it('once it is adopted: it drains, and the service ends', async () => {
    const { service, pid, asked, second, goOn } = await standing('A')
    goOn()
    expect((await asked).code).toBe(0)
    service.signal('SIGTERM', second.pid)
    for (const each of [pid, second.pid]) {
      expect(await exitOf(service, each)).toEqual({ pid: each, code: 0, signal: 0 })
    }
    await service.clean()
  })
})

describe.each(['SIGTERM', 'SIGINT'] as const)('%s to the whole process group, the launcher included', (signal) => {
  it.each<Phase>(['P', 'I', 'C', 'A'])('in %s: the service ends, and leaves nothing', async (phase) => {
    const { service, pid, asked, second, goOn } = await standing(phase)
    process.kill(-service.pid, signal)
    if (phase === 'A') goOn()
    const { code } = await asked
    // In A the new one may be gone before it is adopted, or adopted before it has gone.
    expect(phase === 'A' ? [0, 1] : [1]).toContain(code)
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    // The reaper ends with the last of them.
    expect((await service.firstExit).code).toBe(0)
    expect(look(second.pid)).toBeUndefined()
    await service.clean()
  })
})
