/** SIGKILL of any one process of a unit, under a real systemd: the table of docs/deploy/systemd.md, row by row. */
import { rmSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { get } from './support/http'
import type { Outcome } from './support/run'
import { Systemd, type Version } from './support/systemd'

const VERSIONS: Version[] = ['own', '257']
const WEB = '/run/test/app/web.sock'
const HOLD = '/run/test/app/hold'

interface Restarting {
  systemd: Systemd
  old: number
  launcher: number
  next: number
  /** What `systemctl reload` comes to. */
  reload: Promise<Outcome>
}

/** A unit in the middle of a restart: the new generation runs, and is not ready while HOLD is there. */
async function restarting(version: Version): Promise<Restarting> {
  const systemd = await serving(version)
  const old = await systemd.mainPid()
  writeFileSync(systemd.here(HOLD), '')
  const reload = systemd.ctl('reload', 'app.service')
  const [launcher] = await systemd.children(old)
  const [next] = await systemd.children(launcher)
  return { systemd, old, launcher, next, reload }
}

async function serving(version: Version): Promise<Systemd> {
  const systemd = await Systemd.boot(version)
  const settings = { FileDescriptorStoreMax: 16 }
  const options = { fdStore: true, shutdownTimeoutMs: 60_000 }
  systemd.service({ listen: { web: WEB }, options, hold: HOLD }, settings)
  await systemd.do('start', 'app.service')
  return systemd
}

function ask(systemd: Systemd, path = '/echo/x'): Promise<string> {
  return get({ socketPath: systemd.here(WEB) }, path).then(({ body }) => body)
}

/** The unit goes on as generation `generation`, in one process, and can be restarted. */
async function isWell(systemd: Systemd, generation: number): Promise<void> {
  const pid = await systemd.mainPid()
  expect(await ask(systemd)).toBe(`x ${pid} ${generation}\n`)
  await alone(systemd)
  expect(await systemd.show('NRestarts')).toBe('0')
  rmSync(systemd.here(HOLD), { force: true })
  await systemd.do('reload', 'app.service')
  expect(await ask(systemd)).toBe(`x ${await systemd.mainPid()} ${generation + 1}\n`)
}

/** Nothing is left of the unit but its main process. */
async function alone(systemd: Systemd): Promise<void> {
  const main = await systemd.mainPid()
  for (const pid of await systemd.processes()) if (pid !== main) await systemd.gone(pid)
  expect(await systemd.processes()).toEqual([main])
}

it.each(VERSIONS)('systemd %s, killed: the old generation, in a restart: the unit starts anew', async (version) => {
  const { systemd, old, next, reload } = await restarting(version)
  await systemd.kill(old)
  expect((await reload).code).toBe(1)
  const answer = ask(systemd)
  await systemd.becomes('NRestarts', /^1$/)
  // The new generation was told to end: it is nothing without the unit that started it.
  await systemd.gone(next)
  rmSync(systemd.here(HOLD))
  await systemd.becomes('ActiveState', /^active$/)
  expect(await answer).toBe(`x ${await systemd.mainPid()} 1\n`)
  await alone(systemd)
})

it.each(VERSIONS)('systemd %s, killed: the old generation, while it drains: nobody else notices', async (version) => {
  const systemd = await serving(version)
  const old = await systemd.mainPid()
  const cut = ask(systemd, '/wait/60000').catch(() => 'cut')
  await ask(systemd)
  await systemd.do('reload', 'app.service')
  const main = await systemd.mainPid()
  expect((await systemd.processes()).sort()).toEqual([old, main].sort())
  await systemd.kill(old)
  expect(await cut).toBe('cut')
  expect(await systemd.mainPid()).toBe(main)
  await isWell(systemd, 2)
})

it.each(VERSIONS)('systemd %s, killed: the new generation, in a restart: the reload fails', async (version) => {
  const { systemd, old, next, reload } = await restarting(version)
  await systemd.kill(next)
  expect((await reload).code).toBe(1)
  await systemd.logged(/generation 2 was ended by SIGKILL while starting/)
  expect(await systemd.mainPid()).toBe(old)
  await isWell(systemd, 1)
})

it.each(VERSIONS)('systemd %s, killed: the launcher, in a restart: the reload fails', async (version) => {
  const { systemd, old, launcher, next, reload } = await restarting(version)
  await systemd.kill(launcher)
  expect((await reload).code).toBe(1)
  await systemd.gone(next)
  expect(await systemd.show('StatusText')).toMatch(/^generation 1: ready, .*; the last restart failed: .*launcher/)
  expect(await systemd.mainPid()).toBe(old)
  await isWell(systemd, 1)
})

it.each(VERSIONS)('systemd %s, killed: `shellflip restart`: the reload fails, the restart goes on', async (version) => {
  const { systemd, old, next, reload } = await restarting(version)
  await systemd.kill(Number(await systemd.show('ControlPID')))
  expect((await reload).code).toBe(1)
  expect(await systemd.show('ActiveState')).toBe('active')
  expect(await systemd.mainPid()).toBe(old)
  rmSync(systemd.here(HOLD))
  await systemd.becomes('MainPID', new RegExp(`^${next}$`))
  await systemd.becomes('StatusText', /^generation 2: ready/)
  await systemd.gone(old)
  await isWell(systemd, 2)
})
