/**
 * SIGKILL of any one process below `shellflip run`, or of itself: a service that serves, or a clean end. These are the rows
 * of the table in docs/deploy/supervisors.md; that of a serving generation is in run.test.ts, too.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { askRestart, eventOf, inPhase, launcherOf, tell } from './support/generations'
import { get } from './support/http'
import { isRoot } from './support/privileges'
import { gone, look, processes, until } from './support/processes'
import { root, shellflip } from './support/run'
import { type Service, start } from './support/spawn'

interface Front {
  service: Service
  pid: number
  port: number
}

async function supervised(program: string, options: string[] = []): Promise<Front> {
  const service = start(program, { file: shellflip, execArgv: ['run', ...options, '--', process.execPath] })
  const { pid, port } = await service.event('ready')
  return { service, pid, port: Number(port) }
}

/** Asserts that this generation serves, under run, restarts, and ends clean. */
async function expectWhole({ service, port }: Front, pid: number): Promise<void> {
  expect(JSON.parse((await get({ port })).body)).toMatchObject({ pid })
  await until(() => look(pid)?.parent === service.pid, 'it is not a child of run')
  tell(service, 'go')
  const next = await service.restart()
  await gone(pid)
  expect(JSON.parse((await get({ port })).body)).toMatchObject({ pid: next.pid })
  service.signal('SIGTERM')
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.clean()
}

describe('killed: the serving generation', () => {
  it('run ends with 137, and nothing is left', async () => {
    const { service, pid } = await supervised('serves.mjs')
    await service.restart()
    const { pid: second } = await eventOf(service, 'ready', 2)
    await gone(pid)
    service.signal('SIGKILL', second)
    expect(await service.firstExit).toEqual({ code: 137, signal: null })
    await until(() => service.processes().length === 0, 'something still runs')
  })
})

describe('killed: the new generation', () => {
  it('while it initialises: the old one serves', async () => {
    const front = await supervised('ready-when-told.mjs')
    const { service, pid } = front
    const asked = askRestart(service)
    service.signal('SIGKILL', (await eventOf(service, 'listening', 2)).pid)
    expect(await asked).toMatchObject({ code: 1, said: { code: 'ERR_SHELLFLIP_GENERATION_EXITED' } })
    await expectWhole(front, pid)
  })

  it('once it is committed and has not served: the old one serves', async () => {
    const front = await supervised('commits-when-told.mjs')
    const { service, pid } = front
    const asked = askRestart(service)
    const second = await eventOf(service, 'blocked', 2)
    await inPhase(service, 'committing')
    service.signal('SIGKILL', second.pid)
    expect(await asked).toMatchObject({ code: 1, said: { code: 'ERR_SHELLFLIP_GENERATION_EXITED' } })
    await expectWhole(front, pid)
  })
})

describe('killed: the old generation', () => {
  it('once the new one is committed: that serves', async () => {
    const front = await supervised('commits-when-told.mjs')
    const { service, pid } = front
    const asked = askRestart(service)
    const second = await eventOf(service, 'blocked', 2)
    await inPhase(service, 'committing')
    service.signal('SIGKILL', pid)
    expect((await asked).code).toBe(5)
    tell(service, 'go')
    await eventOf(service, 'ready', 2)
    await expectWhole(front, second.pid)
  })

  it('while it drains: its requests are lost, the service goes on', async () => {
    const front = await supervised('drains-until-told.mjs')
    const { service, pid, port } = front
    const held = get({ port }, '/hold')
    await service.event('held')
    const second = await service.restart()
    service.signal('SIGKILL', pid)
    await expect(held).rejects.toMatchObject({ code: 'ECONNRESET' })
    await expectWhole(front, second.pid)
  })
})

describe('killed: the launcher', () => {
  it('while the new generation initialises: the old one serves', async () => {
    const front = await supervised('ready-when-told.mjs')
    const { service, pid } = front
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    service.signal('SIGKILL', launcherOf(second.pid))
    expect(await asked).toMatchObject({ code: 1, said: { code: 'ERR_SHELLFLIP_SPAWN_FAILED' } })
    await gone(second.pid)
    await expectWhole(front, pid)
  })

  it('once that is committed: the restart goes on', async () => {
    const front = await supervised('commits-when-told.mjs')
    const { service } = front
    const asked = askRestart(service)
    const second = await eventOf(service, 'blocked', 2)
    await inPhase(service, 'committing')
    service.signal('SIGKILL', launcherOf(second.pid))
    tell(service, 'go')
    expect(await asked).toMatchObject({ code: 0, said: { pid: second.pid } })
    await expectWhole(front, second.pid)
  })
})

describe('killed: run itself', () => {
  it('in the middle of a restart: that goes on, and the service too', async () => {
    const { service, pid, port } = await supervised('ready-when-told.mjs')
    const asked = askRestart(service)
    const second = await eventOf(service, 'listening', 2)
    service.signal('SIGKILL')
    await service.firstExit
    tell(service, 'go')
    expect(await asked).toMatchObject({ code: 0, said: { pid: second.pid } })
    await gone(pid)
    expect(JSON.parse((await get({ port })).body)).toEqual({ pid: second.pid, generation: 2 })
    const third = await service.restart()
    await service.end(third.pid)
  })

  it('as PID 1: the container ends', async ({ skip }) => {
    skip(!isRoot, 'needs root')
    const service = start('serves.mjs', {
      file: 'unshare',
      execArgv: ['--pid', '--fork', '--mount-proc', shellflip, 'run', '--', process.execPath],
    })
    await service.event('ready')
    await service.restart()
    const first = processes().find(({ parent }) => parent === service.pid)
    service.signal('SIGKILL', first?.pid)
    await service.firstExit
    await until(() => service.processes().length === 0, 'something outlives PID 1')
  })
})

it('the document has these rows', () => {
  const text = readFileSync(join(root, 'docs/deploy/supervisors.md'), 'utf8')
  const rows = [...text.matchAll(/^\| (?!killed)([^|]+?) \| /gm)].map(([, row]) => row)
  expect(rows).toEqual([
    'the serving generation',
    'the new generation, before it serves',
    'the old generation, while the new one initialises',
    'a generation that drains',
    'the launcher, before the new generation is committed',
    'the launcher, later',
    '`run` itself',
    '`run` as PID 1',
  ])
})
