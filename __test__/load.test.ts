// Promise 6: no client notices. The examples, each under the whole load, restarted ten times by the command line.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { get } from './support/http'
import { certificate } from './support/load/certificate.mjs'
import { Program, temporaryFolder } from './support/load/program.mjs'
import { restartUnderLoad as restarts } from './support/load/restarts'
import { start as serve } from './support/spawn'

const { key, cert } = certificate()
let folder: string
let program: Program | undefined

beforeAll(() => {
  folder = temporaryFolder()
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 })
  writeFileSync(join(folder, 'cert.pem'), cert)
})
afterAll(() => rmSync(folder, { recursive: true }))

afterEach(async () => {
  await program?.kill()
  program = undefined
})

const restartUnderLoad = (service: Program) => restarts(service, cert)

const start = async (script: string, ...args: string[]) => {
  program = await Program.start(`examples/${script}`, { args: args.map((name) => join(folder, name)) })
  return program
}

test('ten restarts under load, and no client notices: http', { timeout: 120_000 }, async () => {
  const counters = await restartUnderLoad(await start('http.mjs'))
  expect(counters.reconnects).toBeGreaterThan(0)
})

test('ten restarts under load, and no client notices: https', { timeout: 120_000 }, async () => {
  const counters = await restartUnderLoad(await start('https.mjs', 'key.pem', 'cert.pem'))
  expect(counters.resumedAcross).toBeGreaterThan(0)
  expect(counters.notResumedAcross).toBe(0)
})

test('ten restarts under load, and no client notices: http2', { timeout: 120_000 }, async () => {
  const counters = await restartUnderLoad(await start('http2.mjs', 'key.pem', 'cert.pem'))
  expect(counters.reconnects).toBeGreaterThan(0)
})

test('ten restarts under load, and no client notices: unix socket', { timeout: 120_000 }, async () => {
  await restartUnderLoad(await start('unix.mjs', 'app.sock'))
})

test('ten restarts under load, and no datagram is lost: udp', { timeout: 120_000 }, async () => {
  await restartUnderLoad(await start('udp.mjs'))
})

test('the command returns when the new generation serves, not when the old one has drained', async () => {
  const service = serve('drains-until-told.mjs')
  const { pid, port } = await service.event('ready')
  // Answered when it is told, and so not before the command returns.
  const held = get({ port: Number(port) }, '/hold')
  await service.event('held')
  const restarted = await service.restart()
  const fresh = await get({ port: Number(port) })
  expect(JSON.parse(fresh.body)).toEqual({ pid: restarted.pid, generation: 2 })
  writeFileSync(join(service.directory, 'answer'), '')
  expect(JSON.parse((await held).body)).toEqual({ pid, generation: 1 })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(restarted.pid)
})
