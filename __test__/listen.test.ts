import dgram from 'node:dgram'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import tls from 'node:tls'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { answers, listenersOf, portOf } from './support/listeners'
import { certificate as makeCertificate } from './support/load/certificate.mjs'
import { RawClient } from './support/raw-client'
import { node, root } from './support/run'
import { stubEngine } from './support/stub-engine'

const certificate = makeCertificate()
const TCP = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
const UDP = { kind: 'udp', host: '127.0.0.1', port: 0 } as const

describe('listen with an engine', () => {
  it('adopts the claimed socket: the address is real, and nobody is served before the commit', async () => {
    const engine = await stubEngine(TCP)
    const { listeners, events } = listenersOf(engine)
    const server = answers()
    const address = await listeners.listen(server, { host: '127.0.0.1', port: 0, name: 'web' })
    expect(address).toEqual(server.address())
    expect(server.listening).toBe(true)
    expect(engine.requests).toEqual([
      {
        name: 'web',
        address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
        anyHost: false,
        ipv6Only: false,
        backlog: 0,
        mode: undefined,
      },
    ])
    expect(events).toEqual(['listen'])
    expect(listeners.names()).toEqual([{ name: 'web', address }])

    // The kernel takes the connection; this process must not.
    const client = (await RawClient.connect({ port: portOf(address) })).get('/')
    await turn()
    await turn()
    expect(listeners.counts()).toEqual({ connections: 0, inFlight: 0 })
    listeners.startAccepting()
    await client.until(/here$/)
    expect(listeners.counts()).toEqual({ connections: 1, inFlight: 0 })
  })

  it('accepts at once when the service serves already', async () => {
    const engine = await stubEngine(TCP)
    const { listeners } = listenersOf(engine)
    listeners.startAccepting()
    const address = await listeners.listen(answers(), 0)
    expect(engine.requests[0]).toMatchObject({ address: { kind: 'tcp', host: '::', port: 0 }, anyHost: true })
    await (await RawClient.connect({ port: portOf(address) })).get('/').until(/here$/)
  })

  it('looks host names up, for the engine knows addresses only', async () => {
    const engine = await stubEngine(TCP)
    const { listeners } = listenersOf(engine)
    await listeners.listen(answers(), { host: 'localhost' })
    expect(net.isIP(engine.requests[0]!.address.host!)).not.toBe(0)
  })

  it('rejects as Node does when the port is in use', async () => {
    const engine = await stubEngine()
    engine.failure = { message: '', errno: 98, syscall: 'listen' }
    const { listeners, events } = listenersOf(engine)
    const server = answers()
    await expect(listeners.listen(server, { host: '127.0.0.1', port: 8080 })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: '127.0.0.1',
      port: 8080,
      message: 'listen EADDRINUSE: address already in use 127.0.0.1:8080',
    })
    expect(server.listening).toBe(false)
    expect(events).toEqual([])
    expect(listeners.names()).toEqual([])
  })

  it('refuses a server that listens, as Node does', async () => {
    const engine = await stubEngine(TCP, TCP)
    const { listeners } = listenersOf(engine)
    const server = listeners.manage(answers())
    await listeners.listen(server, 0)
    await expect(listeners.listen(server, 0)).rejects.toMatchObject({ code: 'ERR_SERVER_ALREADY_LISTEN' })
    expect(() => server.listen(0)).toThrow(expect.objectContaining({ code: 'ERR_SERVER_ALREADY_LISTEN' }))
    expect(engine.requests).toHaveLength(1)
    expect(engine.dropped).toEqual([])
  })

  it('gives the port back when the application closes the server, which may then listen again', async () => {
    const engine = await stubEngine(TCP, TCP)
    const { listeners } = listenersOf(engine)
    const server = answers()
    await listeners.listen(server, { name: 'web' })
    server.close()
    expect(engine.dropped).toEqual(['web'])
    expect(listeners.names()).toEqual([])
    await once(server, 'close')
    await listeners.listen(server, { name: 'web' })
    expect(listeners.names()).toHaveLength(1)
  })

  it('leaves a server the fast object that it was, which every request reads', async () => {
    const fixture = join(root, '__test__/fixtures/fast-server.mjs')
    const { code, stdout, stderr } = await node(['--allow-natives-syntax', fixture])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.trim().split('\n')).toEqual(
      ['net', 'http', 'http2'].flatMap((name) => [`${name} once: fast`, `${name} twice: fast`]),
    )
  })

  it('stops accepting without touching connections, and without giving the port back', async () => {
    const engine = await stubEngine(TCP)
    const { listeners } = listenersOf(engine)
    const address = await listeners.listen(answers(), { name: 'web' })
    listeners.startAccepting()
    const client = (await RawClient.connect({ port: portOf(address) })).get('/')
    await client.until(/here$/)
    listeners.stopAccepting()
    client.text = ''
    await client.get('/').until(/here$/)
    expect(client.text).toMatch(/keep-alive/)
    expect(engine.dropped).toEqual([])
    expect(listeners.names()).toEqual([{ name: 'web', address }])
  })

  it('unix socket: the address is the path', async () => {
    const path = join(temporaryDirectory(), 's')
    const engine = await stubEngine({ kind: 'unix', path })
    const { listeners } = listenersOf(engine)
    const server = answers()
    // The second process removed the path when it ended, as Node does: only the adoption is looked at here.
    await expect(listeners.listen(server, { path, mode: 0o660 })).resolves.toBe(path)
    expect(server.address()).toBe(path)
    expect(engine.requests[0]).toMatchObject({ address: { kind: 'unix', path }, mode: 0o660 })
    listeners.startAccepting()
    server.close()
    expect(server.address()).toBeNull()
  })

  it('UDP: nothing is received before the commit, what is queued is received after it, nothing once stopped', async () => {
    const engine = await stubEngine(UDP)
    const { listeners } = listenersOf(engine)
    const socket = dgram.createSocket('udp4')
    const received: string[] = []
    socket.on('message', (message) => received.push(message.toString()))
    const address = await listeners.listen(socket, { port: 0, name: 'dns' })
    expect(engine.requests[0]).toMatchObject({ address: { kind: 'udp', host: '0.0.0.0' }, anyHost: true })
    expect(socket.address()).toEqual(address)
    const client = dgram.createSocket('udp4')
    const send = (text: string): Promise<void> =>
      new Promise((resolve) => client.send(text, portOf(address), '127.0.0.1', () => resolve()))
    await send('early')
    await turn()
    await turn()
    expect(received).toEqual([])
    listeners.startAccepting()
    await once(socket, 'message')
    expect(received).toEqual(['early'])
    listeners.stopAccepting()
    await send('late')
    await turn()
    await turn()
    expect(received).toEqual(['early'])
    // It can still answer.
    socket.send('answer', client.address().port, '127.0.0.1')
    expect(String((await once(client, 'message'))[0])).toBe('answer')
    expect(engine.dropped).toEqual([])
    client.close()
  })

  it('stopped and resumed, all accept again: http, net and UDP', async () => {
    const engine = await stubEngine(TCP, TCP, UDP, TCP, TCP)
    const { listeners, events } = listenersOf(engine)
    const web = answers()
    const raw = net.createServer((socket) => socket.end('here'))
    const dns = dgram.createSocket('udp4')
    await listeners.listen(web, { host: '127.0.0.1', name: 'web' })
    await listeners.listen(raw, { host: '127.0.0.1', name: 'raw' })
    const { port } = (await listeners.listen(dns, { host: '127.0.0.1', name: 'dns' })) as net.AddressInfo
    listeners.startAccepting()
    listeners.stopAccepting()
    listeners.resume()
    await (await RawClient.connect({ port: portOf(web.address()!) })).get('/').until(/here$/)
    await (await RawClient.connect({ port: portOf(raw.address()!) })).until(/here$/)
    const client = dgram.createSocket('udp4')
    client.send('again', port, '127.0.0.1')
    expect(String((await once(dns, 'message'))[0])).toBe('again')
    client.close()
    expect(events).toEqual(['listen', 'listen', 'listen'])
    // The application may close it, as ever.
    web.close()
    expect(engine.dropped).toEqual(['web'])
  })

  it('UDP: closing the socket gives the port back', async () => {
    const engine = await stubEngine(UDP)
    const { listeners } = listenersOf(engine)
    const socket = dgram.createSocket('udp4')
    await listeners.listen(socket, { name: 'dns' })
    socket.close()
    expect(engine.dropped).toEqual(['dns'])
  })

  it('UDP: a bound or closed socket is refused as Node does', async () => {
    const engine = await stubEngine(UDP, UDP)
    const { listeners } = listenersOf(engine)
    const bound = dgram.createSocket('udp4').bind(0)
    await once(bound, 'listening')
    await expect(listeners.listen(bound, {})).rejects.toMatchObject({ code: 'ERR_SOCKET_ALREADY_BOUND' })
    bound.close()
    await expect(listeners.listen(bound, {})).rejects.toMatchObject({ code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
    expect(engine.requests).toEqual([])
  })

  it.each<[string, () => net.Server]>([
    ['https', () => https.createServer(certificate)],
    ['http2', () => http2.createSecureServer(certificate)],
    ['tls', () => tls.createServer(certificate)],
  ])('%s: takes over ticket keys before it accepts, and gives them on', async (_kind, create) => {
    const keys = Buffer.alloc(48, 7)
    const engine = await stubEngine(TCP, TCP)
    engine.keys.set('secure', keys)
    const { listeners } = listenersOf(engine)
    const server = create() as tls.Server
    await listeners.listen(server, { name: 'secure' })
    await listeners.listen(net.createServer(), { name: 'plain' })
    expect(server.getTicketKeys()).toEqual(keys)
    expect(listeners.ticketKeys()).toEqual([{ name: 'secure', keys }])
  })

  it('ticket keys that are no keys are warned of', async () => {
    const engine = await stubEngine(TCP)
    engine.keys.set('secure', Buffer.alloc(3))
    const { listeners, events } = listenersOf(engine)
    await listeners.listen(tls.createServer(certificate), { name: 'secure' })
    expect(events[0]).toMatch(/^warning: listen: TLS sessions of the old generation cannot be resumed at secure: /)
  })

  it('refuses new listeners while draining', async () => {
    const { listeners } = listenersOf(await stubEngine(), () => true)
    await expect(listeners.listen(answers(), 0)).rejects.toMatchObject({ code: 'ERR_SHELLFLIP_DRAINING' })
  })
})
