/** Socket activation by a real systemd, and what a service makes of a service manager that is not there or lies. */
import { expect, it } from 'vitest'
import { get } from './support/http'
import { Systemd, type Version } from './support/systemd'

const VERSIONS: Version[] = ['own', '257']
const WEB = '/run/test/web.sock'
const OTHER = '/run/test/other.sock'
/** Flags of a listening socket in /proc/net/unix (__SO_ACCEPTCON). */
const LISTENS = '00010000'

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

/** How many descriptors of the main process are the socket that listens on that path. */
async function copies(systemd: Systemd, path: string): Promise<number> {
  const { stdout } = await systemd.inside('cat', '/proc/net/unix')
  const listening = stdout.split('\n').map((line) => line.trim().split(/ +/))
  const inode = listening.find(([, , , flags, , , , where]) => flags === LISTENS && where === path)?.[6]
  expect(inode).toMatch(/^\d+$/)
  const links = await systemd.inside('ls', '-l', `/proc/${await systemd.mainPid()}/fd`)
  return links.stdout.split('\n').filter((link) => link.endsWith(` socket:[${inode}]`)).length
}

it.each(VERSIONS)(
  'systemd %s: a socket that comes both from a unit and from the store is taken once, and none is left',
  async (version) => {
    const systemd = await Systemd.boot(version)
    systemd.unit('app.socket', {
      Unit: { DefaultDependencies: 'no' },
      Socket: { ListenStream: WEB, SocketMode: '0666', FileDescriptorName: 'web' },
    })
    systemd.service({ listen: { web: WEB }, options: { fdStore: true } }, { FileDescriptorStoreMax: 16 })
    const web = { socketPath: systemd.here(WEB) }
    await systemd.do('start', 'app.socket', 'app.service')
    await systemd.becomes('NFileDescriptorStore', /^1$/)
    const once = await copies(systemd, WEB)
    for (const action of ['restart', 'reload', 'restart']) {
      await systemd.do(action, 'app.service')
      expect((await get(web, '/echo/x')).body).toMatch(new RegExp(`^x ${await systemd.mainPid()} [12]\n$`))
      expect(await copies(systemd, WEB)).toBe(once)
      await systemd.becomes('NFileDescriptorStore', /^1$/)
    }
    await systemd.do('stop', 'app.service')
    // It is the unit's, stored or not: systemd starts the service again.
    expect((await get(web, '/echo/x')).body).toMatch(/^x \d+ 1\n$/)
  },
)

it.each(VERSIONS)(
  'systemd %s: of two sockets of one name, from a unit and from the store, the one asked for is taken',
  async (version) => {
    const systemd = await Systemd.boot(version)
    const [own, theirs] = ['/run/test/app/web.sock', WEB]
    systemd.service({ listen: { web: own }, options: { fdStore: true } }, { FileDescriptorStoreMax: 16 })
    await systemd.do('start', 'app.service')
    await systemd.becomes('NFileDescriptorStore', /^1$/)
    // The next release listens where a unit does.
    systemd.unit('app.socket', {
      Unit: { DefaultDependencies: 'no' },
      Socket: { ListenStream: theirs, SocketMode: '0666', FileDescriptorName: 'web', Service: 'app.service' },
    })
    const settings = { FileDescriptorStoreMax: 16, Sockets: 'app.socket' }
    systemd.service({ listen: { web: theirs }, options: { fdStore: true } }, settings)
    await systemd.do('daemon-reload')
    await systemd.do('restart', 'app.service')
    expect(await systemd.show('ActiveState', 'app.socket'), 'it started while the service was down').toBe('active')
    const pid = await systemd.mainPid()
    expect((await get({ socketPath: systemd.here(theirs) }, '/echo/x')).body).toBe(`x ${pid} 1\n`)
    await systemd.becomes('NFileDescriptorStore', /^1$/)
    // Nobody holds the other one any more.
    await expect(get({ socketPath: systemd.here(own) })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const once = await copies(systemd, theirs)
    await systemd.do('restart', 'app.service')
    expect((await get({ socketPath: systemd.here(theirs) }, '/echo/x')).body).toMatch(/ 1\n$/)
    expect(await copies(systemd, theirs)).toBe(once)
  },
)

it.each(VERSIONS)(
  'systemd %s: sockets of a unit that share one name are told apart by their addresses',
  async (version) => {
    const systemd = await Systemd.boot(version)
    systemd.unit('app.socket', {
      Unit: { DefaultDependencies: 'no' },
      Socket: { ListenStream: [OTHER, WEB], SocketMode: '0666', FileDescriptorName: 'web' },
    })
    // Stored, the two have names of their own.
    systemd.service({ listen: { web: WEB, other: OTHER }, options: { fdStore: true } }, { FileDescriptorStoreMax: 16 })
    await systemd.do('start', 'app.socket', 'app.service')
    await systemd.becomes('NFileDescriptorStore', /^2$/)
    for (const action of ['reload', 'restart']) {
      const counts = [await copies(systemd, WEB), await copies(systemd, OTHER)]
      await systemd.do(action, 'app.service')
      const pid = await systemd.mainPid()
      for (const path of [WEB, OTHER]) {
        expect((await get({ socketPath: systemd.here(path) }, '/echo/x')).body).toMatch(new RegExp(`^x ${pid} [12]\n$`))
      }
      expect([await copies(systemd, WEB), await copies(systemd, OTHER)]).toEqual(counts)
      await systemd.becomes('NFileDescriptorStore', /^2$/)
    }
  },
)
