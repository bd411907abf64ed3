/** What a service tells a real systemd besides its restarts, and what systemd makes of it. */
import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { get } from './support/http'
import { Systemd, type Version } from './support/systemd'

const VERSIONS: Version[] = ['own', '257']
const WEB = '/run/test/app/web.sock'
const PID_FILE = '/run/test/app/app.pid'
const listen = { web: WEB }

it.each(VERSIONS)('systemd %s: the status follows the phases', async (version) => {
  const systemd = await Systemd.boot(version)
  systemd.service({ listen, hold: '/run/test/app/hold' })
  systemd.tell('hold')
  await systemd.do('start', '--no-block', 'app.service')
  await systemd.becomes('StatusText', /^generation 1: starting, 0 connections$/)
  systemd.untell('hold')
  await systemd.becomes('StatusText', /^generation 1: ready, 0 connections$/)
  systemd.tell('hold')
  await systemd.do('reload', '--no-block', 'app.service')
  await systemd.becomes('StatusText', /^generation 1: restarting, 0 connections$/)
  systemd.untell('hold')
  await systemd.becomes('StatusText', /^generation 2: ready, 0 connections$/)
  const web = { socketPath: systemd.here(WEB) }
  const waiting = [get(web, '/held/answer'), get(web, '/held/answer')]
  await get(web, '/echo/x')
  await systemd.do('stop', '--no-block', 'app.service')
  await systemd.becomes('StatusText', /^generation 2: draining, 2 connections$/)
  systemd.tell('answer')
  await Promise.all(waiting)
})

it.each(VERSIONS)(
  'systemd %s: neither a slow start nor a long drain is cut by the limits of the unit',
  async (version) => {
    const systemd = await Systemd.boot(version)
    systemd.service({ listen, startMs: 6_500 }, { TimeoutStartSec: 5, TimeoutStopSec: 2 })
    await systemd.do('start', 'app.service')
    const web = { socketPath: systemd.here(WEB) }
    const pid = await systemd.mainPid()
    const waiting = get(web, '/wait/4000')
    await get(web, '/echo/x')
    await systemd.do('stop', 'app.service')
    expect((await waiting).body).toBe(`${pid}\n`)
    expect(await systemd.show('Result')).toBe('success')
  },
)

it.each(VERSIONS)(
  'systemd %s: a start that is not ready within readyTimeoutMs is ended by the unit’s limit',
  async (version) => {
    const systemd = await Systemd.boot(version)
    const settings = { TimeoutStartSec: 1, Restart: 'no' }
    systemd.service({ listen, startMs: 60_000, options: { readyTimeoutMs: 2_000 } }, settings)
    expect((await systemd.ctl('start', 'app.service')).code).toBe(1)
    expect(await systemd.show('Result')).toBe('timeout')
  },
)

it.each(VERSIONS)(
  'systemd %s: the watchdog is pinged by whoever is main, while its event loop turns',
  async (version) => {
    const systemd = await Systemd.boot(version)
    systemd.service({ listen }, { WatchdogSec: 3, WatchdogSignal: 'SIGKILL' })
    await systemd.do('start', 'app.service')
    const web = { socketPath: systemd.here(WEB) }
    await get(web, '/wait/4000')
    await systemd.do('reload', 'app.service')
    const second = await systemd.mainPid()
    expect((await get(web, '/wait/4000')).body).toBe(`${second}\n`)
    expect(await systemd.show('NRestarts')).toBe('0')
    // Its other threads go on.
    await get(web, '/block').catch(() => undefined)
    await systemd.becomes('NRestarts', /^1$/)
    await systemd.logged(/Watchdog timeout/)
    await systemd.becomes('ActiveState', /^active$/)
    expect((await get(web, '/echo/x')).body).toBe(`x ${await systemd.mainPid()} 1\n`)
  },
)

it.each(VERSIONS)('systemd %s: the pid file names the generation that serves, and goes with it', async (version) => {
  const systemd = await Systemd.boot(version)
  const settings = { PIDFile: PID_FILE }
  systemd.service({ listen, options: { pidFile: PID_FILE } }, settings)
  const file = systemd.here(PID_FILE)
  const read = () => Number(readFileSync(file, 'utf8'))
  await systemd.do('start', 'app.service')
  const first = await systemd.mainPid()
  expect(read()).toBe(first)
  await systemd.do('reload', 'app.service')
  const second = await systemd.mainPid()
  expect(second).not.toBe(first)
  await systemd.gone(first)
  expect(read()).toBe(second)
  expect(await systemd.mainPid()).toBe(second)
  await systemd.do('stop', 'app.service')
  expect(existsSync(file)).toBe(false)
})

it.each(VERSIONS)(
  'systemd %s: a new main process that is blocked while the old one drains is killed, and the unit starts anew',
  async (version) => {
    const systemd = await Systemd.boot(version)
    systemd.service({ listen, options: { shutdownTimeoutMs: 60_000 } }, { WatchdogSec: 5, WatchdogSignal: 'SIGKILL' })
    await systemd.do('start', 'app.service')
    const web = { socketPath: systemd.here(WEB) }
    const old = await systemd.mainPid()
    const draining = get(web, '/wait/60000').then(
      () => 'answered',
      () => 'cut',
    )
    await get(web, '/echo/x')
    await systemd.do('reload', 'app.service')
    const blocked = await systemd.mainPid()
    expect((await systemd.processes()).sort()).toEqual([old, blocked].sort())
    const lost = get(web, '/block').catch(() => {})
    await systemd.becomes('NRestarts', /^1$/)
    await systemd.becomes('ActiveState', /^active$/)
    await systemd.logged(/Watchdog timeout/)
    const pid = await systemd.mainPid()
    expect((await get(web, '/echo/x')).body).toBe(`x ${pid} 1\n`)
    expect(await systemd.processes()).toEqual([pid])
    // systemd ends the whole unit by the watchdog's signal, with KillMode=control-group.
    expect(await draining).toBe('cut')
    await lost
  },
)
