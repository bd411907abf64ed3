/** Socket activation by a real systemd, and what a service makes of a service manager that is not there or lies. */
import { expect, it } from 'vitest'
import { get } from './support/http'
import { Systemd, type Version } from './support/systemd'

const VERSIONS: Version[] = ['own', '257']
const WEB = '/run/test/web.sock'
const OTHER = '/run/test/other.sock'

it.each(
  VERSIONS.flatMap(
    (version) =>
      [
        [version, 'name', 'web', WEB],
        [version, 'address', 'something', WEB],
      ] as const,
  ),
)(
  'systemd %s: a socket of a unit is claimed by its %s, by every generation',
  async (version, _, FileDescriptorName, path) => {
    const systemd = await Systemd.boot(version)
    // Neither path could be bound by the service itself, which may write nowhere there.
    systemd.unit('app.socket', {
      Unit: { DefaultDependencies: 'no' },
      Socket: { ListenStream: path, SocketMode: '0666', FileDescriptorName },
    })
    systemd.unit('other.socket', {
      Unit: { DefaultDependencies: 'no' },
      Socket: { ListenStream: OTHER, SocketMode: '0666', Service: 'app.service' },
    })
    systemd.service({ listen: { web: path, other: OTHER } }, { Sockets: ['other.socket', 'app.socket'] })
    await systemd.do('start', 'app.socket', 'other.socket')
    // The first connection starts the service.
    expect((await get({ socketPath: systemd.here(path) }, '/echo/x')).body).toBe(`x ${await systemd.mainPid()} 1\n`)
    for (const generation of [2, 3]) {
      await systemd.do('reload', 'app.service')
      const pid = await systemd.mainPid()
      for (const each of [path, OTHER]) {
        const { body } = await get({ socketPath: systemd.here(each) }, '/echo/x')
        expect(body).toBe(`x ${pid} ${generation}\n`)
      }
    }
    await systemd.do('stop', 'app.service')
    // The sockets are systemd's: it starts the service again.
    expect((await get({ socketPath: systemd.here(path) }, '/echo/x')).body).toMatch(/^x \d+ 1\n$/)
  },
)
