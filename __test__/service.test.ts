import { once } from 'node:events'
import { Agent, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Service, type ServiceOptions, ShellflipError } from '../src/index'
import { startService as shellflip } from '../src/start'

/** An inert service: it has phases, a drain and hooks, and leaves this process alone. */
let service: Service<unknown>
const log: string[] = []

async function start(options: ServiceOptions = {}): Promise<Service<unknown>> {
  log.length = 0
  const say = (message: string) => void log.push(message)
  const logger = { info: () => {}, warn: say, error: say }
  service = await shellflip({
    enabled: false,
    exit: false,
    shutdownSignals: [],
    restartSignal: false,
    logger,
    ...options,
  })
  return service
}

afterEach(async () => {
  await service?.shutdown()
})

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: unknown) => (error as ShellflipError).code,
  )

describe('shellflip()', () => {
  it('rejects a second call while the service runs, and not afterwards', async () => {
    await start()
    expect(await codeOf(shellflip({ enabled: false }))).toBe('ERR_SHELLFLIP_INVALID_ARG')
    await service.shutdown()
    await start()
    expect(service.phase).toBe('starting')
  })

  it('may be called again after it has rejected', async () => {
    expect(await codeOf(shellflip({ ready: 'never' as 'manual' }))).toBe('ERR_SHELLFLIP_INVALID_ARG')
    await start()
  })
})

describe('an inert service', () => {
  it('listens, is ready, drains and stops', async () => {
    await start()
    const phases: string[] = [service.phase]
    const server = createServer((_, response) => response.end('served'))
    const { port } = (await service.listen(server, { port: 0, host: '127.0.0.1', name: 'web' })) as AddressInfo
    await service.ready()
    phases.push(service.phase)
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })
    expect(await answer.text()).toBe('served')
    expect(service.status()).toEqual({
      pid: process.pid,
      uptimeMs: expect.any(Number) as number,
      connections: expect.any(Number) as number,
      inFlight: 0,
      generation: 1,
      phase: 'ready',
      socket: null,
      listeners: [{ name: 'web', address: { address: '127.0.0.1', family: 'IPv4', port } }],
      migrated: 0,
      draining: [],
    })
    service.on('draining', ({ reason }) => phases.push(`${service.phase} (${reason})`))
    service.on('drained', ({ cut }) => phases.push(`drained, ${cut} cut`))
    const { cut } = await service.shutdown()
    phases.push(service.phase)
    expect(cut).toBe(0)
    expect(await service.closed).toEqual({ cut: 0 })
    expect(phases).toEqual(['starting', 'ready', 'draining (shutdown)', 'drained, 0 cut', 'stopped'])
  })

  it('cannot restart, and says why', async () => {
    await start()
    expect(service.supported).toBe(false)
    await expect(service.restart()).rejects.toMatchObject({
      code: 'ERR_SHELLFLIP_UNSUPPORTED',
      message: expect.stringContaining('enabled: false') as string,
    })
  })

  it('refuses migrate(), which is not in this release', async () => {
    await start()
    const hooks = { serialize: () => 1, restore: () => {} }
    expect(() => service.migrate(createServer(), hooks)).toThrow(/not in this release/)
  })
})

describe('ready()', () => {
  it("is called by itself in 'listening' mode", async () => {
    await start({ ready: 'listening' })
    await service.listen(createServer(), 0)
    await new Promise(setImmediate)
    expect(service.phase).toBe('ready')
  })

  it('rejects if the service is told to shut down first', async () => {
    await start()
    const closed = service.shutdown()
    await closed
    expect(await codeOf(service.ready())).toBe('ERR_SHELLFLIP_DRAINING')
  })
})

describe('signal', () => {
  it('is aborted with the reason for which the service drains', async () => {
    await start()
    await service.ready()
    const { signal } = service
    expect(signal.aborted).toBe(false)
    await service.shutdown()
    expect(signal.reason).toBeInstanceOf(ShellflipError)
    expect(signal.reason).toMatchObject({ code: 'ERR_SHELLFLIP_DRAINING', reason: 'shutdown' })
  })
})

describe('a handle', () => {
  it('holds the drain open until it is released', async () => {
    await start()
    const order: string[] = []
    const work = service.handle()
    const closed = service.shutdown().then(() => order.push('closed'))
    await once(service, 'draining')
    await new Promise((resolve) => setTimeout(resolve, 20))
    order.push('released')
    work.release()
    await closed
    expect(order).toEqual(['released', 'closed'])
  })

  it('holds it no longer than the deadline', async () => {
    await start({ shutdownTimeoutMs: 30 })
    service.handle()
    await service.shutdown()
    expect(log.join()).toContain('a handle (service.handle()) is still held')
  })

  it('can be taken by a request that comes while the connections drain, and not afterwards', async () => {
    await start()
    let heldWhileDraining = false
    const server = createServer((_, response) => {
      const work = service.handle()
      heldWhileDraining = service.signal.aborted
      response.end('done')
      work.release()
    })
    const { port } = (await service.listen(server, { port: 0, host: '127.0.0.1' })) as AddressInfo
    await service.ready()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = () =>
      new Promise((resolve, reject) => {
        get({ host: '127.0.0.1', port, agent }, (response) => response.resume().on('end', resolve)).on('error', reject)
      })
    await ask()
    const closed = service.shutdown()
    await once(service.signal, 'abort')
    await ask()
    await closed
    expect(heldWhileDraining).toBe(true)
    expect(() => service.handle()).toThrow(/has drained/)
  })
})

describe('shutdown hooks', () => {
  it('run after the drain, newest first, one at a time', async () => {
    await start()
    const order: string[] = []
    service.on('drained', () => order.push('drained'))
    for (const name of ['first', 'second']) {
      service.onShutdown(async () => {
        await new Promise(setImmediate)
        order.push(name)
      })
    }
    await service.shutdown()
    expect(order).toEqual(['drained', 'second', 'first'])
  })

  it('that fail are logged and keep nobody from ending', async () => {
    await start()
    let ran = false
    service.onShutdown(() => {
      ran = true
    })
    service.onShutdown(function closeDatabase() {
      throw new Error('no connection')
    })
    await service.shutdown()
    expect(ran).toBe(true)
    expect(log.join()).toMatch(/hook closeDatabase failed: Error: no connection/)
  })

  it('that take too long are named and left', async () => {
    await start({ shutdownTimeoutMs: 10 })
    service.onShutdown(function early() {})
    service.onShutdown(function hangs() {
      return new Promise(() => {})
    })
    await service.shutdown()
    expect(log.join()).toContain('the hook hangs still runs and is left, early did not run')
  })

  it('are refused once they have run', async () => {
    await start()
    await service.shutdown()
    expect(() => service.onShutdown(() => {})).toThrow(/have run/)
    expect(() => service.onShutdown(1 as never)).toThrow(/takes a function/)
  })
})

describe('listeners of events', () => {
  it('that throw do not stop the drain', async () => {
    await start()
    const thrown = new Error('mine')
    const caught = new Promise((resolve) => process.prependOnceListener('uncaughtException', resolve))
    const others = process.listeners('uncaughtException').slice(1)
    for (const other of others) process.off('uncaughtException', other)
    service.on('draining', () => {
      throw thrown
    })
    await service.shutdown()
    expect(await caught).toBe(thrown)
    for (const other of others) process.on('uncaughtException', other)
    expect(service.phase).toBe('stopped')
  })
})
