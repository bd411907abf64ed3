/**
 * What Windows gets: the package imports, and a service runs without restarts. Run here, by the same JavaScript, in a
 * process that takes itself for one of Windows and can load no addon.
 */

import { rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { get } from './support/http'
import { placePackage } from './support/placed'
import { node, root } from './support/run'
import { type Service, start } from './support/spawn'

const asWindows = ['--require', `${root}/__test__/fixtures/as-windows.cjs`]

async function serving() {
  const service = start('serves-slowly.mjs', { execArgv: asWindows })
  const said = await service.event('ready')
  return { service, said, port: (said.address as net.AddressInfo).port }
}

/** Asserts that it ended by itself, and has not tried what Windows does not have. */
async function ended(service: Service, code: number) {
  expect(await service.firstExit, service.output.text()).toEqual({ code, signal: null })
  await service.clean()
  expect(service.output.text()).not.toContain('forbidden')
}

describe('importing', () => {
  it('gives every public name, and looks for nothing that Windows does not have', async () => {
    const names = (exported: object) =>
      Object.keys(exported).filter((name) => name !== 'module.exports' && name !== 'default')
    const here = names(await import('@shellflip/node')).sort()
    const program = `
      import '${root}/dist/bun.js'
      import * as all from '${root}/dist/index.mjs'
      console.log(JSON.stringify(Object.keys(all)))`
    const { stdout, stderr } = await node([...asWindows, '--input-type=module', '-e', program])
    expect(stderr).toBe('')
    const [there, ...more] = stdout.trim().split('\n')
    expect(more).toEqual([])
    expect(
      JSON.parse(there ?? '')
        .filter((name: string) => name !== 'module.exports' && name !== 'default')
        .sort(),
    ).toEqual(here)
    expect(here).toContain('shellflip')
  })

  it("the crate's API refuses by name what needs an addon, and does the rest", async () => {
    const program = `
      const { RestartConfig, RestartCoordinationSocket, ShutdownCoordinator, receiveFromOldProcess, fixupSystemdEnv, startupComplete } = require('${root}/dist/index.js')
      const config = new RestartConfig({ enabled: true, coordinationSocketPath: 'a.sock' })
      const codes = []
      const note = (error) => codes.push(error.code)
      try { config.requestRestartSync() } catch (error) { note(error) }
      const main = async () => {
        await config.requestRestart().catch(note)
        await RestartCoordinationSocket.connect('a.sock').catch(note)
        fixupSystemdEnv()
        const task = config.tryIntoRestartTask()
        startupComplete()
        const running = task.run()
        void (await task.service).shutdown()
        await running.catch(note)
        const coordinator = new ShutdownCoordinator()
        const handle = coordinator.handle()
        setImmediate(() => handle.release())
        await coordinator.shutdown()
        console.log(JSON.stringify({ codes, received: receiveFromOldProcess() }))
      }
      main()`
    const { stdout, stderr } = await node([...asWindows, '-e', program])
    const codes = ['UNSUPPORTED', 'UNSUPPORTED', 'UNSUPPORTED', 'DRAINING'].map((code) => `ERR_SHELLFLIP_${code}`)
    expect(stdout, stderr).toBe(`${JSON.stringify({ codes, received: null })}\n`)
  })
})

describe('a service', () => {
  it('listens, says that it cannot restart, once warned, and tells what it is', async () => {
    const { service, said, port } = await serving()
    expect((await get({ port })).body).toBe('1')
    expect(said).toMatchObject({ supported: false, refusals: Array(2).fill({ code: 'ERR_SHELLFLIP_UNSUPPORTED' }) })
    expect((said.refusals as { message: string }[])[0]?.message).toMatch(
      /no native addon for win32 x64: restarts work on linux \(x64, arm64\), darwin \(x64, arm64\); elsewhere the service runs inert/,
    )
    expect(said.status).toMatchObject({
      ...{ pid: service.pid, generation: 1, phase: 'ready', socket: null, connections: 0, inFlight: 0, draining: [] },
      listeners: [{ name: 'web', address: said.address }],
    })
    service.signal('SIGTERM')
    await ended(service, 0)
    expect(service.output.lines.filter((line) => line.includes('ShellflipWarning'))).toHaveLength(1)
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'drains at %s: the request in flight is answered, nobody else is taken in',
    async (signal) => {
      const { service, port } = await serving()
      const agent = new http.Agent({ keepAlive: true })
      const answer = new Promise<{ body: string; connection: string | undefined }>((resolve, reject) => {
        http
          .get({ host: '127.0.0.1', port, path: '/slow', agent }, (response) => {
            let body = ''
            response.setEncoding('utf8').on('data', (text) => (body += text))
            response.on('end', () => resolve({ body, connection: response.headers.connection }))
          })
          .on('error', reject)
      })
      await service.event('asked')
      service.signal(signal)
      expect(await answer).toEqual({ body: 'in full', connection: 'close' })
      expect(await service.event('drained')).toMatchObject({ cut: 0 })
      await service.event('hook')
      await ended(service, 0)
      await expect(get({ port })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      agent.destroy()
    },
  )

  it('a second SIGINT ends it at once', async () => {
    const { service, port } = await serving()
    const client = net.connect(port, '127.0.0.1')
    client.on('error', () => {})
    // A request that never ends holds the drain open.
    client.write('POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n')
    await service.event('asked')
    service.signal('SIGINT')
    await service.event('draining')
    service.signal('SIGINT')
    await ended(service, 130)
    client.destroy()
  })
})

it('the command says where restarts are possible', async () => {
  const { dist, native } = placePackage(temporaryDirectory())
  rmSync(native, { recursive: true })
  const { code, stderr } = await node([...asWindows, join(dist, 'cli.js'), 'restart'])
  expect(code).toBe(1)
  expect(stderr).toMatch(
    /^shellflip: no native program for win32 x64\. Services can be restarted on Linux and macOS only/,
  )
})
