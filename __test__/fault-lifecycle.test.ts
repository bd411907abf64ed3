/**
 * The crate's three hooks, in its order: preNewProcess, then (the process being there) sendToNewProcess, then, if it
 * comes to nothing, newProcessFailed, before whoever asked is answered. Unlike the crate's, ours is called whatever the reason.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Failure, Faulty } from './support/fault'
import { expectFile } from './support/footprint'
import { alive } from './support/processes'
import { start } from './support/spawn'

const DIES: Failure = {
  code: 'GENERATION_EXITED',
  phase: 'waiting for ready',
  exitCode: 7,
  message: /^generation 2 exited with code 7 while starting/,
}
const LATE = 'within \\d+ ms'
const SOON = { READY_TIMEOUT_MS: 'soon' }

/** The hooks that ran since the last call, with what they were given, and 'failed' where the event was. */
function hooks({ service }: Faulty, from = 0): string[] {
  return service.output.lines
    .slice(from)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(
      ({ event, pid }) => pid === service.pid && (event === 'hook' || event === 'failed' || event === 'restarting'),
    )
    .map(({ event, hook, given }) => [hook ?? event, given].filter((word) => word !== undefined).join(' '))
}

/** One failed restart by command and one by call: each ran these hooks, in this order, before anybody was told. */
async function runs(env: NodeJS.ProcessEnv, failure: Failure, expected: string[]): Promise<Faulty> {
  const faulty = await Faulty.start('hooks.mjs', { env })
  await faulty.failsByCommand(failure)
  const first = faulty.service.output.lines.length
  expect(hooks(faulty)).toEqual(expected)
  await faulty.failsByCall(failure)
  expect(hooks(faulty, first)).toEqual(expected)
  return faulty
}

describe('which hooks run, and in which order', () => {
  it('a restart that succeeds', async () => {
    const faulty = await Faulty.start('hooks.mjs')
    await faulty.succeeds()
    const ran = hooks(faulty)
    expect(ran.slice(0, 1)).toEqual(['preNewProcess'])
    // The process is there; that its pid is known may be heard of a moment later.
    expect(ran.slice(1).sort()).toEqual(['restarting', 'sendToNewProcess'])
  })

  it('the new generation dies', async () => {
    const faulty = await Faulty.start('hooks.mjs', { env: { NEW: 'dies' } })
    await faulty.failsByCommand(DIES)
    const ran = hooks(faulty)
    expect(ran[0]).toBe('preNewProcess')
    expect(ran.slice(1, 3).sort()).toEqual(['restarting', 'sendToNewProcess'])
    expect(ran.slice(3)).toEqual(['newProcessFailed ERR_SHELLFLIP_GENERATION_EXITED', 'failed'])
    await faulty.recovers()
  })

  it('the program does not exist: nothing was started', async () => {
    const failure: Failure = { code: 'SPAWN_FAILED', phase: 'preparing', process: false, message: /\/nowhere\/program/ }
    const expected = ['preNewProcess', 'newProcessFailed ERR_SHELLFLIP_SPAWN_FAILED', 'failed']
    const faulty = await runs({ PROGRAM: '/nowhere/program' }, failure, expected)
    await faulty.service.end()
  })
})

describe('preNewProcess', () => {
  const failed = ['preNewProcess', 'newProcessFailed ERR_SHELLFLIP_HANDOVER_FAILED', 'failed']

  it.each(['throws', 'rejects'])('%s: nothing is started', async (way) => {
    const message = /^lifecycle\.preNewProcess failed: the disk is full$/
    const failure: Failure = { code: 'HANDOVER_FAILED', phase: 'preparing', process: false, message }
    const faulty = await runs({ FAIL: `preNewProcess:${way}` }, failure, failed)
    await faulty.recovers()
  })

  it('never settles', async () => {
    const message = new RegExp(
      `^the restart could not begin ${LATE}: lifecycle\\.preNewProcess has not settled, or the`,
    )
    const failure: Failure = { code: 'READY_TIMEOUT', phase: 'preparing', process: false, message }
    const expected = ['preNewProcess', 'newProcessFailed ERR_SHELLFLIP_READY_TIMEOUT', 'failed']
    const faulty = await runs({ FAIL: 'preNewProcess:never', ...SOON }, failure, expected)
    await faulty.recovers()
  })

  it('rejects after its restart was over: the next restart is not touched', async () => {
    const env = { FAIL: 'preNewProcess:rejects when told', ...SOON }
    const faulty = await Faulty.start('hooks.mjs', { env })
    const { service } = faulty
    const message = /^the restart could not begin within \d+ ms/
    await faulty.failsByCommand({ code: 'READY_TIMEOUT', phase: 'preparing', process: false, message })
    await service.event('hook')
    await service.event('hook')
    const second = faulty.succeeds()
    expect(await service.event('hook')).toMatchObject({ hook: 'preNewProcess' })
    writeFileSync(join(service.directory, 'told'), '')
    writeFileSync(join(service.directory, 'mended'), '')
    await second
  })
})

describe('sendToNewProcess', () => {
  const failure: Failure = { code: 'HANDOVER_FAILED', phase: 'handing over', process: 'maybe', message: /./ }

  it.each(['throws', 'rejects'])('%s: newProcessFailed runs here, too', async (way) => {
    const message = /^lifecycle\.sendToNewProcess failed: the disk is full$/
    const faulty = await Faulty.start('hooks.mjs', { env: { FAIL: `sendToNewProcess:${way}` } })
    await faulty.fails({ ...failure, message })
    const ran = hooks(faulty).filter((each) => each !== 'restarting')
    const once = ['preNewProcess', 'sendToNewProcess', 'newProcessFailed ERR_SHELLFLIP_HANDOVER_FAILED', 'failed']
    expect(ran).toEqual([...once, ...once])
    await faulty.recovers()
  })

  it('never settles', async () => {
    const faulty = await Faulty.start('hooks.mjs', { env: { FAIL: 'sendToNewProcess:never', ...SOON } })
    await faulty.fails({
      code: 'READY_TIMEOUT',
      phase: 'handing over',
      message: new RegExp(
        `^generation 2 was not ready ${LATE}: lifecycle\\.sendToNewProcess of this generation has not settled$`,
      ),
    })
    await faulty.recovers()
  })
})

describe('newProcessFailed', () => {
  it.each(['throws', 'rejects'])('%s: it is logged, and changes nothing', async (way) => {
    const faulty = await Faulty.start('hooks.mjs', { env: { NEW: 'dies', FAIL: `newProcessFailed:${way}` } })
    await faulty.fails(DIES)
    expect(faulty.service.output.text()).toMatch(/lifecycle\.newProcessFailed failed: Error: the disk is full/)
    await faulty.recovers()
  })

  it('never settles: it is named, and nobody waits for it for ever', async () => {
    const faulty = await Faulty.start('hooks.mjs', { env: { NEW: 'dies', FAIL: 'newProcessFailed:never' } })
    await faulty.failsByCommand(DIES)
    expect(faulty.service.output.text()).toMatch(/lifecycle\.newProcessFailed has not settled within 5 s/)
    await faulty.recovers()
  })

  it('is done before anybody is told, and before the next restart begins', async () => {
    const faulty = await Faulty.start('hooks.mjs', { env: { NEW: 'dies', FAIL: 'newProcessFailed:until told' } })
    const { service } = faulty
    const failed = faulty.failsByCommand(DIES)
    let said = await service.event('hook')
    while (said.hook !== 'newProcessFailed') said = await service.event('hook')
    const second = await service.cli('restart')
    expect(second.code).toBe(4)
    expect(second.stderr).toMatch(/a restart is in progress/)
    expectFile(faulty.before, join(service.directory, 'told'))
    writeFileSync(join(service.directory, 'told'), '')
    await failed
    await faulty.recovers()
  })

  it('runs where a shutdown calls the restart off, and the process does not end before it is done', async () => {
    const service = start('hooks.mjs', { env: { NEW: 'waits', FAIL: 'newProcessFailed:until told' } })
    await service.event('ready')
    const asked = service.cli('restart', ['--json'])
    const { about } = await service.event('restarting')
    service.signal('SIGTERM')
    let said = await service.event('hook')
    while (said.hook !== 'newProcessFailed') said = await service.event('hook')
    expect(said.given).toBe('ERR_SHELLFLIP_DRAINING')
    expect(alive(Number(about)), 'the new generation lives').toBe(false)
    writeFileSync(join(service.directory, 'told'), '')
    const { code, stdout } = await asked
    expect([code, JSON.parse(stdout).code]).toEqual([1, 'ERR_SHELLFLIP_DRAINING'])
    expect(await service.event('failed')).toMatchObject({ code: 'ERR_SHELLFLIP_DRAINING' })
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.clean()
  })
})
