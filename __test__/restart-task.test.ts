/** The crate's restart task, with real processes. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { alive } from './support/processes'
import { RawClient } from './support/raw-client'
import { root } from './support/run'
import { start } from './support/spawn'

const program = 'restart-task.mjs'

/** A program that breaks while starting, until told to be well. */
function breakable(options: object) {
  const directory = temporaryDirectory()
  const file = join(directory, 'breaks')
  writeFileSync(file, 'the database is gone')
  const service = start(program, { directory, env: { BREAKS: file, OPTIONS: JSON.stringify(options) } })
  return { service, repair: () => rmSync(file) }
}

it('run() resolves with the new pid, no longer accepting; the old process ends when its last client has left', async () => {
  const service = start(program)
  const { port, same } = await service.event('ready')
  expect(same).toBe(true)
  const client = await RawClient.connect({ port: Number(port) })
  await client.write('one').until(/^one$/)
  const { pid } = await service.restart()
  expect(await service.event('ready')).toMatchObject({ pid, generation: 2, port })
  expect(await service.event('replaced')).toMatchObject({ generation: 1, by: pid, listening: false })
  // The old one serves its client for as long as that stays, and accepts nobody else.
  await client.write(' two').until(/^one two$/)
  expect(alive(service.pid)).toBe(true)
  const other = await RawClient.connect({ port: Number(port) })
  await other.write('new').until(/^new$/)
  client.socket.end()
  await service.event('drained')
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  other.socket.end()
  process.kill(pid, 'SIGKILL')
  await service.gone(pid)
})

it('the process drains for as long as its coordinator waits, whatever the service has left', async () => {
  const service = start(program, { env: { HOLDS: 'yes' } })
  await service.event('ready')
  const { pid } = await service.restart()
  await service.event('holds')
  service.signal('SIGCONT')
  expect(await service.event('drained')).toMatchObject({ generation: 1 })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  process.kill(pid, 'SIGKILL')
  await service.gone(pid)
})

it('the hooks run in the order of the crate', async () => {
  const service = start(program)
  await service.event('ready')
  await service.restart()
  await service.event('replaced')
  const said = service.output.lines.filter((line) => line.includes('NewProcess')).map((line) => JSON.parse(line).event)
  expect(said).toEqual(['preNewProcess', 'sendToNewProcess'])
  await service.kill()
})

it('a restart that failed ends the task: newProcessFailed, then run() rejects, then the process drains and ends', async () => {
  const { service } = breakable({})
  const { port } = await service.event('ready')
  const client = await RawClient.connect({ port: Number(port) })
  await client.write('one').until(/^one$/)
  const { code, stdout, stderr } = await service.cli('restart', ['--json'])
  expect(code, stderr).toBe(1)
  const failed = { code: 'ERR_SHELLFLIP_GENERATION_EXITED', message: expect.stringMatching(/the database is gone/) }
  expect(JSON.parse(stdout)).toMatchObject(failed)
  expect(await service.event('newProcessFailed')).toMatchObject(failed)
  expect(await service.event('over')).toMatchObject({ ...failed, generation: 1, listening: false })
  const order = service.output.lines.join('\n')
  expect(order.indexOf('"newProcessFailed"')).toBeLessThan(order.indexOf('"over"'))
  await client.write(' two').until(/^one two$/)
  client.socket.end()
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.clean()
})

it('with exitOnError: false it goes on, and the next restart succeeds', async () => {
  const { service, repair } = breakable({ exitOnError: false })
  await service.event('ready')
  expect((await service.cli('restart')).code).toBe(1)
  await service.event('newProcessFailed')
  repair()
  const { pid } = await service.restart()
  expect(await service.event('replaced')).toMatchObject({ generation: 1, by: pid })
  expect(service.output.text()).not.toContain('"over"')
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.kill()
})

it('a refused request is an answer, and no failure of the task', async () => {
  const service = start(program, { env: { SHELLFLIP_SUPERVISED: 'tini' } })
  await service.event('ready')
  for (let attempt = 0; attempt < 2; attempt++) {
    const { code, stdout } = await service.cli('restart', ['--json'])
    expect([code, JSON.parse(stdout).code]).toEqual([1, 'ERR_SHELLFLIP_UNSUPPORTED'])
    await service.event('newProcessFailed')
  }
  expect(service.output.text()).not.toContain('"over"')
  await service.kill()
})

it('`shellflip stop` rejects run() with DRAINING, and the process ends as after a restart', async () => {
  const service = start(program)
  await service.event('ready')
  expect((await service.cli('stop')).code).toBe(0)
  expect(await service.event('over')).toMatchObject({ code: 'ERR_SHELLFLIP_DRAINING', listening: false })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.clean()
})

it('not enabled, it has no socket and restarts by its signal, with the environment it was given', async () => {
  const options = { restartSignal: 'SIGHUP', environment: { SENT: 'along', SHELLFLIP_SOCKET: undefined } }
  const service = start(program, { env: { ENABLED: 'no', OPTIONS: JSON.stringify(options) } })
  await service.event('ready')
  expect(existsSync(service.socket)).toBe(false)
  service.signal('SIGHUP')
  const { pid } = await service.event('ready')
  expect(await service.event('replaced')).toMatchObject({ generation: 1, by: pid })
  expect(readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')).toContain('SENT=along')
  await service.kill()
})

it('startupComplete() is ready before run() is called', async () => {
  const service = start(program, { env: { READY: 'early' } })
  await service.event('ready')
  const { pid } = await service.restart()
  expect(await service.event('ready')).toMatchObject({ pid, generation: 2 })
  expect(await service.event('replaced')).toMatchObject({ by: pid })
  await service.kill()
})

it('a program that only awaits run() stays', async () => {
  const code = `
    const { RestartConfig } = require('${root}/dist/index.js')
    new RestartConfig({ enabled: true, coordinationSocketPath: process.env.SHELLFLIP_SOCKET }).tryIntoRestartTask().run()
      .then(({ pid }) => console.log('replaced by ' + pid))`
  const service = start(null, { execArgv: ['-e', code] })
  let phase: string | undefined
  while (phase !== 'ready') {
    const { code, stdout } = await service.cli('status', ['--json'])
    expect(service.processes().length, service.output.text()).toBeGreaterThan(0)
    if (code === 0) phase = JSON.parse(stdout).phase
  }
  const { pid } = await service.restart()
  await service.line(new RegExp(`^replaced by ${pid}$`))
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.kill()
})

it('a socket in use rejects run() and service, and a later task may be had', async () => {
  const service = start(program)
  await service.event('ready')
  const code = `
    const { RestartConfig, spawnRestartTask } = require('${root}/dist/index.js')
    const { rmSync } = require('node:fs')
    const config = new RestartConfig({ enabled: true, coordinationSocketPath: '${service.socket}' })
    const task = config.tryIntoRestartTask()
    const codes = []
    try { spawnRestartTask(config) } catch (error) { codes.push(error.code) }
    Promise.allSettled([task.run(), task.service]).then(async (both) => {
      codes.push(...both.map(({ reason }) => reason.code))
      config.enabled = false
      const again = config.tryIntoRestartTask()
      codes.push((await again.service).generation)
      console.log(codes.join(' '))
      process.exit()
    })`
  const second = start(null, { execArgv: ['-e', code] })
  const inUse = 'ERR_SHELLFLIP_SOCKET_IN_USE'
  await second.line(new RegExp(`^ERR_SHELLFLIP_INVALID_ARG ${inUse} ${inUse} 1$`))
  await second.clean()
  await service.kill()
})
