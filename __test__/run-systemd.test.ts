/** `shellflip run` as the main process of a unit, under a real systemd: this machine's, and 257 from Debian trixie. */
import { expect, it, onTestFinished, vi } from 'vitest'
import { get } from './support/http'
import { NONE } from './support/load/counters.mjs'
import { startLoad } from './support/load/load.mjs'
import { target } from './support/load/target.mjs'
import { CHECKOUT, NODE, type Program, Systemd, type Version } from './support/systemd'

const VERSIONS: Version[] = ['own', '257']
const WEB = '/run/test/app/web.sock'
const listen = { web: WEB }
const RELOADS = 20
const ANSWERS = 200

/** Boots, and starts the unit with run in front of the program. */
async function booted(
  version: Version,
  program: Program,
  settings: Record<string, string | number | undefined> = {},
  options = '',
) {
  const systemd = await Systemd.boot(version)
  unit(systemd, program, settings, options)
  await systemd.do('start', 'app.service')
  const run = await systemd.mainPid()
  expect(await name(systemd, run)).toBe('shellflip')
  return { systemd, run, web: { socketPath: systemd.here(WEB) } }
}

function unit(systemd: Systemd, program: Program, settings: Record<string, string | number | undefined>, options = '') {
  const command = `${CHECKOUT}/dist/native/shellflip run ${options} --`
  const ExecStart = `${command} ${NODE} /run/test/app/server.mjs '${JSON.stringify(program)}'`
  // With control-group the service is told twice to stop: by systemd, and by run.
  systemd.service(program, { ExecStart, KillMode: 'mixed', ...settings })
}

const name = async (systemd: Systemd, pid: number) => (await systemd.inside('cat', `/proc/${pid}/comm`)).stdout.trim()

/** Who answers. */
async function ask(web: { socketPath: string }) {
  const [, pid, generation] = (await get(web, '/echo/x')).body.trim().split(' ')
  return { pid: Number(pid), generation: Number(generation) }
}

it.each(VERSIONS)(
  'systemd %s: twenty reloads under load, and MainPID stays with run',
  { timeout: 180_000 },
  async (version) => {
    const { systemd, run, web } = await booted(version, { listen })
    const load = startLoad(target(`unix:${systemd.here(WEB)}`))
    onTestFinished(() => load.stop())
    await load.answeredBy((await ask(web)).pid, ANSWERS)
    for (let reload = 1; reload <= RELOADS; reload++) {
      await systemd.do('reload', 'app.service')
      const { pid, generation } = await ask(web)
      expect(generation).toBe(reload + 1)
      await load.answeredBy(pid, ANSWERS)
    }
    await load.stop()
    expect({ ...load.counters.failures(), details: load.counters.details }).toEqual({ ...NONE, details: [] })
    expect(await systemd.mainPid()).toBe(run)
    expect(await systemd.show('ActiveState')).toBe('active')
    expect(await systemd.show('NRestarts')).toBe('0')
    await systemd.becomes('StatusText', /^generation 21: ready, \d+ connections?$/)
    expect(await systemd.journal()).not.toMatch(/not our child|notification message from PID/)
  },
)

it.each(VERSIONS.flatMap((version) => ['control-group', 'mixed'].map((mode) => [version, mode] as const)))(
  'systemd %s: after a reload, stop waits for what both generations have under way (KillMode=%s)',
  async (version, KillMode) => {
    const { systemd, web } = await booted(version, { listen }, { KillMode })
    const old = await ask(web)
    const longer = get(web, '/wait/5000')
    await ask(web)
    await systemd.do('reload', 'app.service')
    const main = await ask(web)
    expect(main.pid).not.toBe(old.pid)
    const answer = get(web, '/slow/token')
    await ask(web)
    await systemd.do('stop', 'app.service')
    expect((await answer).body).toBe(`token ${main.pid} 2\n`)
    expect((await longer).body).toBe(`${old.pid}\n`)
    expect(await systemd.show('Result')).toBe('success')
  },
)

it.each(VERSIONS)(
  'systemd %s: a blocked event loop is killed with all of the unit, which starts anew',
  async (version) => {
    const settings = { WatchdogSec: 3, WatchdogSignal: 'SIGKILL' }
    const { systemd, run, web } = await booted(version, { listen }, settings)
    await get(web, '/wait/4000')
    await systemd.do('reload', 'app.service')
    const { pid } = await ask(web)
    expect((await get(web, '/wait/4000')).body).toBe(`${pid}\n`)
    expect(await systemd.show('NRestarts')).toBe('0')
    await get(web, '/block').catch(() => undefined)
    await systemd.becomes('NRestarts', /^1$/)
    await systemd.logged(/Watchdog timeout/)
    await systemd.becomes('ActiveState', /^active$/)
    expect(await systemd.mainPid()).not.toBe(run)
    expect(await ask(web)).toMatchObject({ generation: 1 })
    await systemd.gone(pid)
  },
)

it.each(VERSIONS)(
  'systemd %s: the descriptor store, through run: over restarts, a killed service and a killed run',
  { timeout: 60_000 },
  async (version) => {
    const program = { listen: { ...listen, other: '/run/test/app/other.sock' }, options: { fdStore: true } }
    const settings = { FileDescriptorStoreMax: 16, RestartSec: 1 }
    const { systemd, web } = await booted(version, program, settings)
    await systemd.becomes('NFileDescriptorStore', /^2$/)
    const asked = async (): Promise<unknown> => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => get(web, '/echo/x')))
      await systemd.becomes('ActiveState', /^active$/)
      expect(await systemd.show('NFileDescriptorStore')).toBe('2')
      return expect(new Set(answers.map(({ body }) => body))).toEqual(new Set([`x ${(await ask(web)).pid} 1\n`]))
    }
    const restarted = systemd.do('restart', 'app.service')
    await systemd.becomes('ActiveState', /^(deactivating|activating)$/)
    await asked()
    await restarted
    await systemd.do('reload', 'app.service')
    await systemd.kill((await ask(web)).pid)
    await systemd.becomes('SubState', /^auto-restart/)
    await asked()
    await systemd.kill(await systemd.mainPid())
    await systemd.becomes('SubState', /^auto-restart/)
    await asked()
    expect(await systemd.show('NRestarts')).toBe('2')
  },
)

it.each(VERSIONS)(
  'systemd %s: a listener that a release no longer has is nobody’s, not even run’s',
  async (version) => {
    const program = { listen: { ...listen, tcp: 8080 }, options: { fdStore: true } }
    const settings = { FileDescriptorStoreMax: 16 }
    const { systemd } = await booted(version, program, settings)
    await systemd.becomes('NFileDescriptorStore', /^2$/)
    unit(systemd, { ...program, listen }, settings)
    await systemd.do('daemon-reload')
    await systemd.do('restart', 'app.service')
    await systemd.becomes('NFileDescriptorStore', /^1$/)
    const code = `fetch('http://127.0.0.1:8080/').catch(({ cause }) => console.log(cause.code))`
    expect((await systemd.inside(NODE, '-e', code)).stdout).toBe('ECONNREFUSED\n')
  },
)

it.each(VERSIONS)(
  'systemd %s: with --restart a killed service is started again by run, and systemd sees nothing',
  async (version) => {
    const { systemd, run, web } = await booted(version, { listen }, {}, '--restart on-failure')
    await systemd.do('reload', 'app.service')
    await systemd.kill((await ask(web)).pid)
    await systemd.logged(/the service was ended by signal 9; it is started again in 100 ms/)
    await systemd.becomes('StatusText', /^generation 1: ready/)
    expect(await ask(web)).toMatchObject({ generation: 1 })
    expect(await systemd.mainPid()).toBe(run)
    expect(await systemd.show('NRestarts')).toBe('0')
    await systemd.do('stop', 'app.service')
    expect(await systemd.show('Result')).toBe('success')
  },
)

it.each(VERSIONS)('systemd %s: Type=exec, which follows no other process, is enough', async (version) => {
  const { systemd, run, web } = await booted(version, { listen }, { Type: 'exec', NotifyAccess: 'none' })
  // Which does not tell when the service is ready, either.
  await vi.waitFor(() => ask(web), 10_000)
  await systemd.do('reload', 'app.service')
  await systemd.do('reload', 'app.service')
  expect(await ask(web)).toMatchObject({ generation: 3 })
  expect(await systemd.mainPid()).toBe(run)
  await systemd.do('stop', 'app.service')
  expect(await systemd.show('Result')).toBe('success')
})

it('systemd 257: Type=notify-reload, by a signal that run sends on', async () => {
  const { systemd, run, web } = await booted(
    '257',
    { listen },
    {
      Type: 'notify-reload',
      ReloadSignal: 'SIGUSR2',
      ExecReload: undefined,
      Environment: 'SHELLFLIP_NOTIFY_RELOAD=1',
    },
  )
  for (const generation of [2, 3]) {
    await systemd.do('reload', 'app.service')
    expect(await ask(web)).toMatchObject({ generation })
  }
  systemd.release('throws-before-ready.mjs')
  await systemd.do('reload', 'app.service')
  expect(await systemd.show('StatusText')).toMatch(/the last restart failed: generation 4 exited/)
  expect(await ask(web)).toMatchObject({ generation: 3 })
  expect(await systemd.mainPid()).toBe(run)
})
