/** The wall clock jumps by hours, forward and back: only monotonic clocks count, so nothing happens. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { clock } from './support/clock'
import { askRestart, eventOf, expectWhole, type Serving, serving, status, tell } from './support/generations'
import { get } from './support/http'
import { exitOf } from './support/reaper'

const HOUR = 3_600_000
/** Far longer than any of this takes, and far shorter than the jump. */
const LONG = 600_000

/** The clock that the generation in charge sees is that much off the real one. */
async function expectOff({ port }: Serving, hours: number) {
  const off = Number((await get({ port }, '/time')).body) - Date.now()
  expect(off / HOUR).toBeCloseTo(hours, 0)
}

async function withClock(timeouts: { READY_TIMEOUT_MS?: string; DRAIN_TIMEOUT_MS?: string }) {
  const time = clock()
  let first = 0
  // Runs after the service has been ended.
  onTestFinished(() => time.forget(first))
  const env = { READY_TIMEOUT_MS: String(LONG), DRAIN_TIMEOUT_MS: String(LONG), ...timeouts, ...time.env }
  const old = await serving('clocked.mjs', { env })
  first = old.service.pid
  return { time, old }
}

describe.each([
  ['forward', '+5h', 5],
  ['back', '-5h', -5],
])('the clock jumps %s', (_, by, hours) => {
  it('during a restart: it succeeds, and its duration is the real one', async () => {
    const { time, old } = await withClock({})
    const { service, pid } = old
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    await expectOff(old, 0)
    time.jump(by)
    await expectOff(old, hours)
    const { restart, uptimeMs } = await status(service)
    for (const ms of [restart.sinceMs, uptimeMs]) expect(Math.abs(ms)).toBeLessThan(LONG)
    tell(service, 'go')
    const { code, said } = await asked
    expect(code).toBe(0)
    expect(said.durationMs).toBeLessThan(LONG)
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    await expectOff(old, hours)
    await expectWhole(old, second)
  })

  it('while a generation is awaited that is never ready: its deadline is the real one', async () => {
    const { time, old } = await withClock({ READY_TIMEOUT_MS: 'soon' })
    const { service, pid } = old
    const asked = askRestart(service)
    await eventOf(service, 'listening', 2)
    time.jump(by)
    await expectOff(old, hours)
    expect(await asked).toMatchObject({ code: 1, said: { ok: false, code: 'ERR_SHELLFLIP_READY_TIMEOUT' } })
    tell(service, 'go')
    await expectWhole(old, { pid, generation: 1 })
  })

  it('during a drain: nothing is cut, and status tells its real age', async () => {
    const { time, old } = await withClock({})
    const { service, pid, port } = old
    tell(service, 'go')
    const held = get({ port }, '/hold')
    await service.event('held')
    const second = await service.restart()
    time.jump(by)
    await expectOff(old, hours)
    const { draining } = await status(service)
    expect(draining).toMatchObject([{ pid, generation: 1 }])
    expect(draining[0].sinceMs).toBeGreaterThanOrEqual(0)
    expect(draining[0].sinceMs).toBeLessThan(LONG)
    tell(service, 'answer')
    expect(JSON.parse((await held).body)).toEqual({ pid, generation: 1 })
    expect(await service.event('drained')).toMatchObject({ pid, cut: 0 })
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    await expectWhole(old, second)
  })

  it('during a drain that does not end: its deadline is the real one', async () => {
    const { time, old } = await withClock({ DRAIN_TIMEOUT_MS: '1000' })
    const { service, pid, port } = old
    tell(service, 'go')
    const held = get({ port }, '/hold').catch((error: NodeJS.ErrnoException) => error.code)
    await service.event('held')
    const second = await service.restart()
    time.jump(by)
    await expectOff(old, hours)
    expect(await service.event('drained')).toMatchObject({ pid, cut: 1 })
    expect(await held).toBe('ECONNRESET')
    expect(await exitOf(service, pid)).toEqual({ pid, code: 0, signal: 0 })
    await expectWhole(old, second)
  })
})
