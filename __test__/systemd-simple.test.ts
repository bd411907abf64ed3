/**
 * A unit that does not follow the service: systemd takes the end of the first generation for the end of the service. And
 * variables of systemd's that lie.
 */
import { expect, it } from 'vitest'
import { get } from './support/http'
import { type Program, type Settings, Systemd, type Version } from './support/systemd'

const VERSIONS: Version[] = ['own', '257']
const WEB = '/run/test/app/web.sock'

/** Started; with Type=simple nobody tells when it serves. */
async function simple(version: Version, program: Omit<Program, 'listen'> = {}, settings: Settings = {}) {
  const systemd = await Systemd.boot(version)
  const type = { Type: 'simple', NotifyAccess: 'none', Restart: 'no' }
  systemd.service({ listen: { web: WEB }, ...program }, { ...type, ...settings })
  await systemd.do('start', 'app.service')
  const pid = await systemd.mainPid()
  const web = { socketPath: systemd.here(WEB) }
  const end = performance.now() + 20_000
  let body = ''
  while (body === '' && performance.now() < end)
    body = await get(web, '/echo/x').then(
      (answer) => answer.body,
      () => '',
    )
  expect(body).toBe(`x ${pid} 1\n`)
  return { systemd, pid, web }
}

it.each(VERSIONS)(
  'systemd %s: Type=simple: a restart is refused, with what to do, and the service goes on',
  async (version) => {
    const { systemd, pid, web } = await simple(version)
    expect((await systemd.ctl('reload', 'app.service')).code).toBe(1)
    await systemd.logged(/ERR_SHELLFLIP_UNSUPPORTED/)
    expect(await systemd.journal()).toMatch(
      /a restart here would end the service \(systemd\): .* give the unit Type=notify/,
    )
    expect(await systemd.mainPid()).toBe(pid)
    expect((await get(web, '/echo/x')).body).toBe(`x ${pid} 1\n`)
  },
)

it.each(VERSIONS)(
  "systemd %s: Type=simple with supervisor: 'ignore': systemd ends the new generation with the old one",
  async (version) => {
    const { systemd } = await simple(version, { options: { supervisor: 'ignore' } })
    await systemd.ctl('reload', 'app.service')
    await systemd.becomes('ActiveState', /^(inactive|failed)$/)
    expect(await systemd.journal()).not.toContain('ERR_SHELLFLIP_UNSUPPORTED')
  },
)

it.each(VERSIONS)(
  'systemd %s: NOTIFY_SOCKET leads nowhere: it is warned of, a restart is refused, and the service goes on',
  async (version) => {
    const { systemd, pid, web } = await simple(version, {}, { Environment: 'NOTIFY_SOCKET=/nowhere/notify' })
    await systemd.logged(/the service manager could not be told that the service is ready: No such file/)
    expect((await systemd.ctl('reload', 'app.service')).code).toBe(1)
    await systemd.logged(/give the unit Type=notify .*\(ERR_SHELLFLIP_UNSUPPORTED\)/)
    expect(await systemd.mainPid()).toBe(pid)
    expect((await get(web, '/echo/x')).body).toBe(`x ${pid} 1\n`)
  },
)

it.each(
  VERSIONS.flatMap((version) =>
    (
      [
        // What is open there by then is Node's own.
        ['passes what is no socket', '1', /LISTEN_FDS passes descriptor 3 \('unknown'\): is no socket/],
        ['says more than there are', '9999', /LISTEN_FDS says 9999, but descriptor \d+ is not open/],
      ] as const
    ).map((lie) => [version, ...lie] as const),
  ),
)('systemd %s: LISTEN_FDS %s: it is warned of, and the service serves and restarts', async (version, _, count, why) => {
  const systemd = await Systemd.boot(version)
  systemd.service({ listen: { web: WEB } }, (command) => ({
    // The shell becomes the service: the pid is right, and so the lie is for it.
    ExecStart: `/bin/sh -c 'LISTEN_PID=$$$$ LISTEN_FDS=${count} exec "$@"' sh ${command}`,
  }))
  await systemd.do('start', 'app.service')
  await systemd.logged(why)
  const web = { socketPath: systemd.here(WEB) }
  expect((await get(web, '/echo/x')).body).toBe(`x ${await systemd.mainPid()} 1\n`)
  await systemd.do('reload', 'app.service')
  expect((await get(web, '/echo/x')).body).toBe(`x ${await systemd.mainPid()} 2\n`)
})
