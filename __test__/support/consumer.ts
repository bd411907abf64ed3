/** Programs of somebody who has installed the package. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { get } from './http'
import { root } from './run'
import { type Service, type StartOptions, start } from './spawn'

const BODY = (annotation = '') => `
const main = async ()${annotation} => {
  const service = await shellflip({ supervisor: 'ignore' })
  const { pid } = process
  const { generation } = service
  const server = http.createServer((_request, response) => void response.end(String(generation)))
  const address = await service.listen(server, { port: 0, host: '127.0.0.1', name: 'web' })
  await service.ready()
  console.log(JSON.stringify({ event: 'ready', pid, generation, address }))
}
main().catch((error) => {
  console.log(JSON.stringify({ event: 'refused', pid: process.pid, code: error.code, message: error.message }))
  process.exitCode = 1
})
`

/** A service of a few lines, as an ES module, … */
export const ESM = `import http from 'node:http'\nimport { shellflip } from '@shellflip/node'\n${BODY()}`
/** … as CommonJS, with `load` for what loads the package, … */
export const commonJs = (load = 'require') =>
  `const http = require('node:http')\nconst { shellflip } = ${load}('@shellflip/node')\n${BODY()}`
/** … and in TypeScript. */
export const TYPESCRIPT = ESM.replace(BODY(), BODY(': Promise<void>'))

/** Starts that service in `folder` after writing it to `name`. */
export function startConsumer(folder: string, name: string, text: string, options: StartOptions = {}): Service {
  writeFileSync(join(folder, name), text)
  return start(join(folder, name), { cwd: folder, ...options })
}

/** Asserts that the service serves, restarts, goes on serving at the same address, and ends. */
export async function expectRestart(service: Service): Promise<void> {
  const { address } = await Promise.race([
    service.event('ready', 30_000),
    service.firstExit.then((how) =>
      Promise.reject(new Error(`it ended with ${JSON.stringify(how)}:\n${service.output.text()}`)),
    ),
  ])
  const { port } = address as { port: number }
  expect((await get({ port })).body).toBe('1')
  const { pid, generation } = await service.restart()
  expect(generation).toBe(2)
  expect((await get({ port })).body).toBe('2')
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(pid)
}

/** Gives the folder the types of Node, from this repository. */
export function linkTypes(folder: string): void {
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
  for (const types of ['@types/node', 'undici-types']) {
    symlinkSync(join(root, 'node_modules', types), join(folder, 'node_modules', types))
  }
}
