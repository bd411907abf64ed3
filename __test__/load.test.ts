// Promise 6: no client notices. The examples, each under the whole load, restarted ten times by the command line.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { certificate } from './support/load/certificate.mjs'
import { verify } from './support/load/clients.mjs'
import { Connection } from './support/load/http1.mjs'
import { Program, temporaryFolder } from './support/load/program.mjs'
import { restartUnderLoad as restarts } from './support/load/restarts'
import { target } from './support/load/target.mjs'

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
  const service = await start('http.mjs')
  const old = await Connection.open(target(service.address))
  let streamed = false
  const stream = old.request('/stream/one', { deadlineMs: 20_000 }).then(({ body }) => {
    streamed = true
    return verify(body, 'one', 'stream')
  })
  const outcome = await service.restart()
  expect(streamed).toBe(false)

  const fresh = await Connection.open(target(service.address))
  const { body } = await fresh.request('/echo/two', { close: true, deadlineMs: 20_000 })
  expect(outcome).toMatchObject({ ok: true, ...verify(body, 'two', 'echo') })

  expect(await stream).toEqual({ pid: service.pid, generation: 1 })
  await service.gone(service.pid)
})
