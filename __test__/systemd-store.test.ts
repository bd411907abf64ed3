/** Listeners in the descriptor store of a real systemd. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import net from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { get } from './support/http'
import { NODE, Systemd, type Version } from './support/systemd'

const VERSIONS: Version[] = ['own', '257']
const WEB = '/run/test/app/web.sock'
const OTHER = '/run/test/app/other.sock'
const PORT = 8080
const fdStore = true

/** One connection after the other until `during` is over, and one more; each must be answered. Gives who answered. */
async function askDuring(systemd: Systemd, during: Promise<unknown>): Promise<Set<number>> {
  const answered = new Set<number>()
  let over = false
  const done = during.finally(() => {
    over = true
  })
  const ask = async () => {
    const [, pid] = (await get({ socketPath: systemd.here(WEB) }, '/echo/x')).body.split(' ')
    answered.add(Number(pid))
  }
  while (!over) await ask()
  await done
  await ask()
  return answered
}

/** Connects and asks. Resolves once connected, with the answer to come; nobody may be there to give it yet. */
async function knock(systemd: Systemd): Promise<{ answer: Promise<string> }> {
  const socket = net.connect(systemd.here(WEB))
  await once(socket, 'connect')
  socket.write('GET /echo/x HTTP/1.0\r\n\r\n')
  const answer = text(socket).then((said) => said.split('\r\n\r\n')[1] ?? '')
  // A test that has failed by then does not look.
  answer.catch(() => {})
  return { answer }
}

/** The pid that answers on the TCP listener, which is reached only from inside. */
async function askInside(systemd: Systemd): Promise<number> {
  const code = `fetch('http://127.0.0.1:${PORT}/echo/x').then((response) => response.text()).then(console.log)`
  const { stdout, stderr } = await systemd.inside(NODE, '-e', code)
  expect(stderr).toBe('')
  return Number(stdout.split(' ')[1])
}

it.each(VERSIONS)(
  'systemd %s: no connection made during `systemctl restart` is refused',
  { timeout: 60_000 },
  async (version) => {
    const systemd = await Systemd.boot(version)
    systemd.service(
      { listen: { web: WEB, tcp: PORT }, options: { fdStore }, startMs: 300 },
      { FileDescriptorStoreMax: 16 },
    )
    await systemd.do('start', 'app.service')
    await systemd.becomes('NFileDescriptorStore', /^2$/)
    let pid = await systemd.mainPid()
    for (const action of ['restart', 'reload', 'restart']) {
      const answered = await askDuring(systemd, systemd.do(action, 'app.service'))
      expect(await systemd.mainPid()).not.toBe(pid)
      pid = await systemd.mainPid()
      expect(answered).toContain(pid)
      expect(await askInside(systemd)).toBe(pid)
      // Stored again by each generation, and kept once.
      await systemd.becomes('NFileDescriptorStore', /^2$/)
    }
    await systemd.do('stop', 'app.service')
  },
)

it.each(VERSIONS)('systemd %s: connections made while a killed service is down are answered', async (version) => {
  const systemd = await Systemd.boot(version)
  // It stays down while the file is there.
  const ExecStartPre = `/bin/sh -c 'while [ -e /run/test/app/down ]; do sleep 0.05; done'`
  systemd.service({ listen: { web: WEB }, options: { fdStore } }, { FileDescriptorStoreMax: 16, ExecStartPre })
  await systemd.do('start', 'app.service')
  await systemd.do('reload', 'app.service')
  await systemd.becomes('NFileDescriptorStore', /^1$/)
  systemd.tell('down')
  await systemd.kill(await systemd.mainPid())
  await systemd.becomes('SubState', /^start-pre$/)
  const answers: Promise<string>[] = []
  while (answers.length < 20) answers.push((await knock(systemd)).answer)
  systemd.untell('down')
  await systemd.becomes('ActiveState', /^active$/)
  expect(new Set(await Promise.all(answers))).toEqual(new Set([`x ${await systemd.mainPid()} 1\n`]))
})

it('systemd 257: with FileDescriptorStorePreserve connections made while it is stopped are answered', async () => {
  const systemd = await Systemd.boot('257')
  systemd.service(
    { listen: { web: WEB }, options: { fdStore } },
    { FileDescriptorStoreMax: 16, FileDescriptorStorePreserve: 'yes' },
  )
  // As when it is enabled: systemd forgets a stopped unit that no other one wants, and what it stored.
  systemd.unit('enabled.target', { Unit: { DefaultDependencies: 'no', Wants: 'app.service' } })
  await systemd.do('start', 'enabled.target')
  await systemd.becomes('NFileDescriptorStore', /^1$/)
  await systemd.do('stop', 'app.service')
  expect(await systemd.show('ActiveState')).toBe('inactive')
  const answers = [(await knock(systemd)).answer, (await knock(systemd)).answer]
  expect(await systemd.processes()).toEqual([])
  await systemd.do('start', 'app.service')
  expect(new Set(await Promise.all(answers))).toEqual(new Set([`x ${await systemd.mainPid()} 1\n`]))
})

it.each(VERSIONS)(
  'systemd %s: a listener that is closed or dropped leaves the store, and its path goes',
  async (version) => {
    const systemd = await Systemd.boot(version)
    const settings = { FileDescriptorStoreMax: 16 }
    systemd.service({ listen: { web: WEB, other: OTHER, tcp: PORT }, options: { fdStore } }, settings)
    await systemd.do('start', 'app.service')
    await systemd.becomes('NFileDescriptorStore', /^3$/)
    // The application closes one.
    await get({ socketPath: systemd.here(OTHER) }, '/close')
    await systemd.becomes('NFileDescriptorStore', /^2$/)
    expect(existsSync(systemd.here(OTHER))).toBe(false)
    // The unit's next start no longer listens on another.
    systemd.service({ listen: { web: WEB }, options: { fdStore } }, settings)
    await systemd.do('daemon-reload')
    await systemd.do('restart', 'app.service')
    await systemd.becomes('NFileDescriptorStore', /^1$/)
    // Nor on the same address under that name.
    systemd.service({ listen: { web: OTHER }, options: { fdStore } }, settings)
    await systemd.do('daemon-reload')
    await systemd.do('restart', 'app.service')
    expect((await get({ socketPath: systemd.here(OTHER) }, '/echo/x')).body).toMatch(/^x /)
    await systemd.becomes('NFileDescriptorStore', /^1$/)
  },
)

it.each(VERSIONS)('systemd %s: a store that is full is warned of, and the service serves', async (version) => {
  const systemd = await Systemd.boot(version)
  systemd.service({ listen: { web: WEB, tcp: PORT }, options: { fdStore } }, { FileDescriptorStoreMax: 1 })
  await systemd.do('start', 'app.service')
  // systemd tells the service its limit since 254; before, it says itself what it did not take.
  const told = /fdStore: the listener 'web' is not in .* store: it takes 1 descriptors; raise FileDescriptorStoreMax/
  await systemd.logged(
    version === '257' ? told : new RegExp(`${told.source}|Cannot store more fds than FileDescriptorStoreMax=1`),
  )
  await systemd.do('reload', 'app.service')
  const pid = await systemd.mainPid()
  expect((await get({ socketPath: systemd.here(WEB) }, '/echo/x')).body).toBe(`x ${pid} 2\n`)
  expect(await askInside(systemd)).toBe(pid)
})

it.each(VERSIONS)(
  'systemd %s: names that are one in the store are warned of, and both listeners serve',
  async (version) => {
    const systemd = await Systemd.boot(version)
    const long = 'n'.repeat(255)
    systemd.service(
      { listen: { [`${long}1`]: WEB, [`${long}2`]: OTHER }, options: { fdStore } },
      { FileDescriptorStoreMax: 16 },
    )
    await systemd.do('start', 'app.service')
    await systemd.logged(
      /fdStore: the listener 'n+2' is not in .*: its name there would be that of 'n+1'; give it a shorter/,
    )
    expect(await systemd.show('NFileDescriptorStore')).toBe('1')
    await systemd.do('restart', 'app.service')
    const pid = await systemd.mainPid()
    for (const path of [WEB, OTHER]) {
      expect((await get({ socketPath: systemd.here(path) }, '/echo/x')).body).toBe(`x ${pid} 1\n`)
    }
  },
)

it.each(VERSIONS)('systemd %s: a stored socket whose file is gone is bound anew', async (version) => {
  const systemd = await Systemd.boot(version)
  const path = '/run/app/web.sock'
  const fetchInside = async () => {
    const code = `require('http').get({ socketPath: '${path}', path: '/echo/x' }, (r) => r.pipe(process.stdout))`
    return (await systemd.inside(NODE, '-e', code)).stdout
  }
  systemd.service({ listen: { web: path }, options: { fdStore } }, { FileDescriptorStoreMax: 16 })
  await systemd.do('start', 'app.service')
  await systemd.becomes('NFileDescriptorStore', /^1$/)
  // systemd removes and makes anew the runtime directory.
  await systemd.do('restart', 'app.service')
  await systemd.logged(/socket file \/run\/app\/web.sock is gone, .* RuntimeDirectoryPreserve=restart/)
  expect(await fetchInside()).toBe(`x ${await systemd.mainPid()} 1\n`)
  await systemd.becomes('NFileDescriptorStore', /^1$/)
  await systemd.do('restart', 'app.service')
  expect(await fetchInside()).toBe(`x ${await systemd.mainPid()} 1\n`)
})
