// Promise 6 under Bun: no client notices ten restarts, neither of node:http nor of Bun.serve.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { certificate } from './support/load/certificate.mjs'
import { Program, temporaryFolder } from './support/load/program.mjs'
import { restartUnderLoad } from './support/load/restarts'
import { project, runtime } from './support/runtimes'

const { key, cert } = certificate()
let folder: string
let bun: string
let program: Program | undefined

beforeAll(async () => {
  folder = temporaryFolder()
  project(folder, 'examples')
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 })
  writeFileSync(join(folder, 'cert.pem'), cert)
  bun = await runtime('bun')
}, 320_000)
afterAll(() => rmSync(folder, { recursive: true }))

afterEach(async () => {
  await program?.kill()
  program = undefined
})

const start = async (script: string, ...args: string[]) => {
  program = await Program.start(join(folder, 'examples', script), {
    args: args.map((name) => join(folder, name)),
    runtime: bun,
  })
  return program
}

test('ten restarts under load, and no client notices: node:http under Bun', { timeout: 180_000 }, async () => {
  const counters = await restartUnderLoad(await start('http.mjs'))
  expect(counters.reconnects).toBeGreaterThan(0)
})

test('ten restarts under load, and no client notices: Bun.serve', { timeout: 180_000 }, async () => {
  const counters = await restartUnderLoad(await start('bun.mjs'))
  expect(counters.reconnects).toBeGreaterThan(0)
})

test('three restarts under load, and no client notices: node:https under Bun', { timeout: 180_000 }, async () => {
  await restartUnderLoad(await start('https.mjs', 'key.pem', 'cert.pem'), cert, 3)
})

test('three restarts under load, and no client notices: node:http2 under Bun', { timeout: 180_000 }, async () => {
  await restartUnderLoad(await start('http2.mjs', 'key.pem', 'cert.pem'), cert, 3)
})

test('three restarts under load, and no datagram is lost: node:dgram under Bun', { timeout: 180_000 }, async () => {
  await restartUnderLoad(await start('udp.mjs'), undefined, 3)
})
