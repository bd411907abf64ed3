/** As a service of a real systemd: this machine's, and 257 from Debian trixie. */
import { expect, it, onTestFinished } from 'vitest'
import { get } from './support/http'
import { NONE } from './support/load/counters.mjs'
import { startLoad } from './support/load/load.mjs'
import { target } from './support/load/target.mjs'
import { Systemd, type Version } from './support/systemd'

const VERSIONS: Version[] = ['own', '257']
const WEB = '/run/test/app/web.sock'
const RELOADS = 20
const ANSWERS = 200

it.each(VERSIONS)(
  'systemd %s: twenty reloads under load, and MainPID follows',
  { timeout: 180_000 },
  async (version) => {
    const systemd = await Systemd.boot(version)
    systemd.service({ listen: { web: WEB } })
    await systemd.do('start', 'app.service')
    const load = startLoad(target(`unix:${systemd.here(WEB)}`))
    onTestFinished(() => load.stop())
    let pid = await systemd.mainPid()
    await load.answeredBy(pid, ANSWERS)
    for (let reload = 1; reload <= RELOADS; reload++) {
      await systemd.do('reload', 'app.service')
      const old = pid
      pid = await systemd.mainPid()
      expect(pid).not.toBe(old)
      await load.answeredBy(pid, ANSWERS)
    }
    await load.stop()
    expect({ ...load.counters.failures(), details: load.counters.details }).toEqual({ ...NONE, details: [] })
    expect(await systemd.show('ActiveState')).toBe('active')
    expect(await systemd.show('NRestarts')).toBe('0')
    expect(await systemd.journal()).not.toContain('not our child')
  },
)

it.each(VERSIONS.flatMap((version) => ['control-group', 'mixed'].map((mode) => [version, mode] as const)))(
  'systemd %s: after a reload, stop waits for a request under way (KillMode=%s)',
  async (version, KillMode) => {
    const systemd = await Systemd.boot(version)
    systemd.service({ listen: { web: WEB } }, { KillMode })
    const web = { socketPath: systemd.here(WEB) }
    await systemd.do('start', 'app.service')
    const old = await systemd.mainPid()
    const longer = get(web, '/held/older').then(
      ({ body }) => body,
      () => 'cut',
    )
    await get(web, '/echo/x')
    await systemd.do('reload', 'app.service')
    const main = await systemd.mainPid()
    const answer = get(web, '/held/newer')
    await get(web, '/echo/x')
    const stopped = systemd.do('stop', 'app.service')
    await systemd.becomes('StatusText', /draining/)
    systemd.tell('newer')
    expect((await answer).body).toBe(`${main}\n`)
    // Told only where it is waited for.
    if (KillMode === 'control-group') systemd.tell('older')
    await stopped
    // What the old generation has under way ends with the main one, if only that was told to stop.
    expect(await longer).toBe(KillMode === 'mixed' ? 'cut' : `${old}\n`)
    expect(await systemd.show('Result')).toBe('success')
  },
)

it.each(VERSIONS)(
  'systemd %s: the new main process killed while the old one drains: the unit starts anew',
  async (version) => {
    const systemd = await Systemd.boot(version)
    systemd.service({ listen: { web: WEB } })
    const web = { socketPath: systemd.here(WEB) }
    await systemd.do('start', 'app.service')
    const first = await systemd.mainPid()
    const held = get(web, '/held/older')
    await get(web, '/echo/x')
    await systemd.do('reload', 'app.service')
    const second = await systemd.mainPid()
    expect((await systemd.inside('test', '-e', `/proc/${first}`)).code, 'the old one drains').toBe(0)
    await systemd.kill(second)
    systemd.tell('older')
    await systemd.becomes('NRestarts', /^1$/)
    await systemd.becomes('ActiveState', /^active$/)
    expect((await get(web, '/echo/x')).body).toBe(`x ${await systemd.mainPid()} 1\n`)
    // systemd ends what is left of the unit first: the old one drains as told.
    expect((await held).body).toBe(`${first}\n`)
  },
)

it.each(VERSIONS)(
  'systemd %s: a broken version fails the reload, says why, and the old one serves',
  async (version) => {
    const systemd = await Systemd.boot(version)
    systemd.service({ listen: { web: WEB } })
    await systemd.do('start', 'app.service')
    const pid = await systemd.mainPid()
    systemd.release('throws-before-ready.mjs')
    const { code, stderr } = await systemd.ctl('reload', 'app.service')
    expect(code, stderr).toBe(1)
    const reason = /generation 2 exited with code 1 while starting: .*the database is gone/
    await systemd.logged(reason)
    expect(await systemd.show('StatusText')).toMatch(
      /^generation 1: ready, .*; the last restart failed: generation 2 exited/,
    )
    expect(await systemd.mainPid()).toBe(pid)
    expect((await get({ socketPath: systemd.here(WEB) }, '/echo/x')).body).toBe(`x ${pid} 1\n`)
    systemd.release('under-systemd.mjs')
    await systemd.do('reload', 'app.service')
    await systemd.becomes('StatusText', /^generation 2: ready, \d+ connections?$/)
  },
)
