/** Type=notify-reload of a real systemd 257: it asks for a reload by a signal and waits for RELOADING, then READY. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { get } from './support/http'
import { until } from './support/processes'
import { CHECKOUT, type Program, Systemd } from './support/systemd'

const WEB = '/run/test/app/web.sock'
const HOLD = '/run/test/app/hold'
/** Long after any of these reloads is over; one that nobody answers lasts as long. */
const TimeoutStartSec = 60

/** A unit of that type that serves. */
async function serving(options: Program['options'] = {}): Promise<Systemd> {
  const systemd = await booted(options)
  await systemd.do('start', 'app.service')
  return systemd
}

async function booted(options: Program['options'] = {}): Promise<Systemd> {
  const systemd = await Systemd.boot('257')
  systemd.service(
    { listen: { web: WEB }, options, hold: HOLD },
    {
      Type: 'notify-reload',
      ReloadSignal: 'SIGUSR2',
      ExecReload: undefined,
      Environment: 'SHELLFLIP_NOTIFY_RELOAD=1',
      TimeoutStartSec,
    },
  )
  return systemd
}

/** A reload that has begun, and goes on only once HOLD is gone. */
async function during(systemd: Systemd): Promise<{ done: Promise<void> }> {
  writeFileSync(systemd.here(HOLD), '')
  const done = systemd.do('reload', 'app.service')
  await systemd.becomes('SubState', /^reload-notify$/)
  return { done }
}

/** Resolves once that generation answers, and is the main process. READY comes a moment before the old one lets go. */
async function answersAs(systemd: Systemd, generation: number): Promise<void> {
  const wanted = `x ${await systemd.mainPid()} ${generation}\n`
  const end = performance.now() + 10_000
  let body = ''
  while (body !== wanted && performance.now() < end) {
    ;({ body } = await get({ socketPath: systemd.here(WEB) }, '/echo/x'))
  }
  expect(body).toBe(wanted)
}

it('systemd 257: Type=notify-reload reloads by a signal, and a failure ends the reload and is told', async () => {
  const systemd = await serving()
  const first = await systemd.mainPid()
  await systemd.do('reload', 'app.service')
  const second = await systemd.mainPid()
  expect(second).not.toBe(first)
  systemd.release('throws-before-ready.mjs')
  // systemd has no way to be told: the reload counts as done.
  await systemd.do('reload', 'app.service')
  expect(await systemd.show('StatusText')).toMatch(
    /^generation 2: ready, .*; the last restart failed: generation 3 exited/,
  )
  expect(await systemd.show('StatusErrno')).not.toBe('0')
  expect(await systemd.mainPid()).toBe(second)
  systemd.release('under-systemd.mjs')
  await systemd.do('reload', 'app.service')
  expect(await systemd.mainPid()).not.toBe(second)
  expect(await systemd.show('StatusErrno')).toBe('0')
})

it('systemd 257: a reload asked for during a reload follows it at once', async () => {
  const systemd = await serving()
  const reloads = [(await during(systemd)).done]
  reloads.push(systemd.do('reload', 'app.service'))
  await systemd.queued(/app\.service +reload +waiting/)
  // systemd sends its signal to the new main process as soon as it knows that one, before the service is its own.
  rmSync(systemd.here(HOLD))
  await Promise.all(reloads)
  await answersAs(systemd, 3)
  expect(await systemd.show('StatusText')).toMatch(/^generation 3: ready, \d+ connections?$/)
  expect(await systemd.journal()).not.toMatch(/timed out|in progress/)
})

it('systemd 257: a reload asked for during a restart is never asked of the old one, however blocked, but of the new', async () => {
  const systemd = await serving()
  const shellflip = (command: string) =>
    systemd.inside(`${CHECKOUT}/dist/native/shellflip`, command, '--socket', '/run/app/shellflip.sock')
  writeFileSync(systemd.here(HOLD), '')
  const restarted = shellflip('restart')
  await systemd.becomes('SubState', /^reload-notify$/)
  while (!(await shellflip('status')).stdout.includes('waiting for ready')) await systemd.show('SubState')
  const busy = get({ socketPath: systemd.here(WEB) }, '/busy/until-told')
  await until(() => existsSync(systemd.here('/run/test/app/busy')), 'the event loop turns')
  const reloaded = systemd.do('reload', 'app.service')
  await systemd.queued(/app\.service +reload +waiting/)
  rmSync(systemd.here(HOLD))
  expect((await restarted).code).toBe(0)
  await reloaded
  await answersAs(systemd, 3)
  systemd.tell('until-told')
  await busy
  expect(await systemd.journal()).not.toMatch(/timed out|refused/)
})

it('systemd 257: the signal sent by hand in the middle of a reload neither ends nor disturbs it', async () => {
  const systemd = await serving()
  const first = await systemd.mainPid()
  const { done } = await during(systemd)
  await systemd.inside('bash', '-c', `kill -USR2 ${first}`)
  await systemd.logged(/asked for by a signal and refused: a restart is in progress.*; one at a time/)
  expect(await systemd.show('SubState')).toBe('reload-notify')
  expect(await systemd.mainPid()).toBe(first)
  rmSync(systemd.here(HOLD))
  await done
  await answersAs(systemd, 2)
  expect(await systemd.show('SubState')).toBe('running')
})

it('systemd 257: the signal sent by hand before the service is ready does not make it ready', async () => {
  const systemd = await booted()
  writeFileSync(systemd.here(HOLD), '')
  const started = systemd.do('start', 'app.service')
  await systemd.becomes('StatusText', /^generation 1: starting/)
  await systemd.inside('bash', '-c', `kill -USR2 ${await systemd.mainPid()}`)
  await systemd.logged(/asked for by a signal and refused: the service has not become ready yet/)
  expect(await systemd.show('ActiveState')).toBe('activating')
  rmSync(systemd.here(HOLD))
  await started
  await answersAs(systemd, 1)
  await systemd.do('reload', 'app.service')
  await answersAs(systemd, 2)
})

it('systemd 257: a reload that the service cannot do ends at once, with the reason', async () => {
  const systemd = await serving({ command: { file: '/run/test/nowhere', args: [] } })
  const pid = await systemd.mainPid()
  await systemd.do('reload', 'app.service')
  expect(await systemd.show('StatusText')).toMatch(/^generation 1: ready, .*; the last restart failed: .*nowhere/)
  expect(await systemd.show('StatusErrno')).not.toBe('0')
  expect(await systemd.mainPid()).toBe(pid)
  await answersAs(systemd, 1)
})
