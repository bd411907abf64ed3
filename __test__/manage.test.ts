import dgram from 'node:dgram'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { answers, listenersOf, portOf } from './support/listeners'
import { RawClient } from './support/raw-client'
import { stubEngine } from './support/stub-engine'

const TCP = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
const INVALID = { code: 'ERR_SHELLFLIP_INVALID_ARG' }

describe('manage', () => {
  it.each<[string, unknown[], object]>([
    ['()', [], { address: { kind: 'tcp', host: '::', port: 0 }, anyHost: true, backlog: 0 }],
    ['(port)', [8080], { address: { kind: 'tcp', host: '::', port: 8080 }, anyHost: true }],
    ["('port')", ['8080'], { address: { kind: 'tcp', host: '::', port: 8080 }, anyHost: true }],
    ['(port, backlog)', [8080, 9], { address: { port: 8080 }, anyHost: true, backlog: 9 }],
    ['(port, host)', [8080, '127.0.0.1'], { address: { host: '127.0.0.1', port: 8080 }, anyHost: false }],
    ['(port, host, backlog)', [8080, '::1', 9], { address: { host: '::1', port: 8080 }, backlog: 9 }],
    ['(path)', ['/run/s'], { address: { kind: 'unix', path: '/run/s' }, anyHost: false }],
    ['(path, backlog)', ['/run/s', 9], { address: { kind: 'unix', path: '/run/s' }, backlog: 9 }],
    [
      '({ port, host })',
      [{ port: 8080, host: '::1', ipv6Only: true, backlog: 3 }],
      { address: { port: 8080 }, ipv6Only: true, backlog: 3 },
    ],
    ['({ port: null })', [{ port: null }], { address: { port: 0 } }],
    [
      '({ path })',
      [{ path: '/run/s', readableAll: true, writableAll: true }],
      { mode: (0o777 & ~process.umask()) | 0o666 },
    ],
  ])('understands listen%s', async (_title, args, request) => {
    const engine = await stubEngine()
    const { listeners } = listenersOf(engine)
    const server = listeners.manage(net.createServer())
    const failed = once(server, 'error')
    expect(server.listen(...(args as []))).toBe(server)
    await failed
    expect(engine.requests[0]).toMatchObject(request)
  })

  it('emits what Node emits, in its order, and the address is there at once', async () => {
    const engine = await stubEngine(TCP)
    const { listeners, events } = listenersOf(engine)
    const server = listeners.manage(answers())
    expect(listeners.manage(server)).toBe(server)
    const order: string[] = []
    server.on('listening', () => order.push('event'))
    server.listen(0, () => order.push('callback'))
    expect(server.listening).toBe(true)
    expect(portOf(server.address()!)).toBeGreaterThan(0)
    await once(server, 'listening')
    expect(order).toEqual(['event', 'callback'])
    expect(events).toEqual(['listen'])
    listeners.startAccepting()
    await (await RawClient.connect({ port: portOf(server.address()!) })).get('/').until(/here$/)
  })

  it('a failure is an error event in a later turn', async () => {
    const engine = await stubEngine()
    engine.failure = { message: '', errno: 13, syscall: 'listen' }
    const { listeners } = listenersOf(engine)
    const server = listeners.manage(net.createServer())
    server.listen(80, () => expect.unreachable())
    const [error] = await once(server, 'error')
    expect(error).toMatchObject({ code: 'EACCES', syscall: 'listen', port: 80 })
  })

  it('leaves handles and descriptors to Node, and bad arguments, too', async () => {
    const engine = await stubEngine(TCP)
    const { listeners } = listenersOf(engine)
    const { fd } = engine.claim({ address: TCP, anyHost: false, ipv6Only: false, backlog: 0 })
    engine.requests.length = 0
    const server = listeners.manage(net.createServer())
    server.listen({ fd })
    await once(server, 'listening')
    expect(() => listeners.manage(net.createServer()).listen(70000)).toThrow(RangeError)
    expect(() => listeners.manage(net.createServer()).listen({} as never)).toThrow(TypeError)
    expect(engine.requests).toEqual([])
    server.close()
    expect(engine.dropped).toEqual([])
  })

  it('closes on the abort of a signal', async () => {
    const engine = await stubEngine(TCP)
    const { listeners } = listenersOf(engine)
    const server = listeners.manage(net.createServer())
    const controller = new AbortController()
    server.listen({ port: 0, signal: controller.signal })
    await once(server, 'listening')
    controller.abort()
    await once(server, 'close')
    expect(engine.dropped).toHaveLength(1)
  })

  it('warns of reusePort', async () => {
    const { listeners, events } = listenersOf(await stubEngine(TCP))
    const server = listeners.manage(net.createServer())
    server.listen({ port: 0, reusePort: true } as never)
    await once(server, 'listening')
    expect(events[0]).toMatch(/^warning: listen: reusePort is ignored/)
  })
})

describe('listen without an engine', () => {
  it('listens by Node and accepts at once, managed or not', async () => {
    const { listeners, events } = listenersOf(null)
    const one = await listeners.listen(answers(), { port: 0, host: '127.0.0.1' })
    const managed = listeners.manage(answers()).listen(0, '127.0.0.1')
    await once(managed, 'listening')
    for (const address of [one, managed.address()!]) {
      await (await RawClient.connect({ port: portOf(address) })).get('/').until(/here$/)
    }
    expect(events).toEqual(['listen', 'listen'])
    expect(listeners.names()).toHaveLength(2)
    expect(listeners.counts().connections).toBe(2)
    managed.close()
    managed.closeAllConnections()
    await once(managed, 'close')
    expect(listeners.names()).toHaveLength(1)
  })

  it('rejects with what Node says', async () => {
    const { listeners } = listenersOf(null)
    const address = await listeners.listen(answers(), { host: '127.0.0.1' })
    await expect(listeners.listen(answers(), { host: '127.0.0.1', port: portOf(address) })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'listen',
    })
  })

  it('unix socket with its mode, and UDP', async () => {
    const { listeners } = listenersOf(null)
    const path = join(temporaryDirectory(), 's')
    await expect(listeners.listen(answers(), { path, mode: 0o600 })).resolves.toBe(path)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const address = await listeners.listen(dgram.createSocket('udp4'), { host: '127.0.0.1' })
    expect(address).toMatchObject({ address: '127.0.0.1', family: 'IPv4' })
  })

  it('refuses a name used twice', async () => {
    const { listeners } = listenersOf(null)
    await listeners.listen(answers(), { name: 'web' })
    await expect(listeners.listen(answers(), { name: 'web' })).rejects.toMatchObject(INVALID)
  })
})

describe('bad arguments', () => {
  it.each<[unknown, RegExp]>([
    [undefined, /options is undefined; it wants a port or an object/],
    ['8080', /options is '8080'; it wants a port or an object/],
    [70000, /port is 70000; it wants a port, 0 to 65535/],
    [{ port: '80' }, /port is '80'; it wants/],
    [{ port: 1.5 }, /port is 1.5; it wants/],
    [{ host: '' }, /host is ''; it wants a string, not empty/],
    [{ path: 'a\0b' }, /path is 'a\\x00b'; it wants the path/],
    [{ path: '/run/s', port: 80 }, /path excludes port and host/],
    [{ port: 80, mode: 0o660 }, /mode is for unix sockets/],
    [{ path: '/run/s', mode: 0o7777 }, /mode is 4095; it wants permissions/],
    [{ backlog: -1 }, /backlog is -1; it wants/],
    [{ ipv6Only: 1 }, /ipv6Only is 1; it wants true or false/],
    [{ name: 3 }, /name is 3; it wants/],
    [{ migrate: 'no' }, /migrate is 'no'; it wants true or false/],
    [{ prot: 80 }, /there is no option prot; known are port, host/],
  ])('listen(server, %j) says what is wrong', async (options, message) => {
    const { listeners } = listenersOf(null)
    const refused = expect(listeners.listen(net.createServer(), options)).rejects
    await refused.toMatchObject({ ...INVALID, message: expect.stringMatching(message) })
  })

  it('only servers listen', async () => {
    const { listeners } = listenersOf(null)
    await expect(listeners.listen({} as never, 0)).rejects.toMatchObject(INVALID)
    await expect(listeners.listen(dgram.createSocket('udp4'), { path: '/run/s' })).rejects.toMatchObject(INVALID)
    expect(() => listeners.manage({})).toThrow(expect.objectContaining(INVALID))
  })
})
