/** A unit that does not follow the service: systemd takes the end of the first generation for the end of the service. */
import { expect, it } from 'vitest'
import { get } from './support/http'
import { type Program, Systemd, type Version } from './support/systemd'

const VERSIONS: Version[] = ['own', '257']
const WEB = '/run/test/app/web.sock'

/** Started; with Type=simple nobody tells when it serves. */
async function simple(version: Version, program: Omit<Program, 'listen'> = {}) {
  const systemd = await Systemd.boot(version)
  systemd.service({ listen: { web: WEB }, ...program }, { Type: 'simple', NotifyAccess: 'none', Restart: 'no' })
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

it("systemd: Type=simple with supervisor: 'ignore': systemd ends the new generation with the old one", async () => {
  const { systemd } = await simple('own', { options: { supervisor: 'ignore' } })
  await systemd.ctl('reload', 'app.service')
  await systemd.becomes('ActiveState', /^(inactive|failed)$/)
})
