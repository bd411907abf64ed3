import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { CLOSE, ends, held, never, restart, serve } from './support/drain'
import { certificate as makeCertificate } from './support/load/certificate.mjs'
import { RawClient } from './support/raw-client'

const certificate = makeCertificate()

describe('an HTTP/1 server that drains', () => {
  it('resolves at once when nothing is connected', async () => {
    const { listeners, port } = await serve(http.createServer())
    await expect(listeners.drain(restart)).resolves.toEqual({ cut: 0 })
    await expect(RawClient.connect({ port })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('answers a request in flight with Connection: close and then ends the connection', async () => {
    const { handler, next } = held()
    const { listeners, port } = await serve(http.createServer(handler))
    const client = (await RawClient.connect({ port })).get('/')
    const response = await next()
    expect(listeners.counts()).toEqual({ connections: 1, inFlight: 1 })
    const drained = listeners.drain(restart)
    response.end('late')
    expect(await client.closed()).toMatch(CLOSE)
    expect(client.text).toMatch(ends('late'))
    expect(client.ended).toBe(true)
    await expect(drained).resolves.toEqual({ cut: 0 })
    expect(listeners.counts()).toEqual({ connections: 0, inFlight: 0 })
  })

  it('lets an idle connection live, answers its next request with Connection: close', async () => {
    const { listeners, port } = await serve(http.createServer((_request, response) => response.end('here')))
    const client = (await RawClient.connect({ port })).get('/1')
    expect(await client.until(ends('here'))).not.toMatch(CLOSE)
    const drained = listeners.drain(restart)
    await turn()
    client.text = ''
    client.get('/2')
    expect(await client.closed()).toMatch(CLOSE)
    expect(client.text).toMatch(ends('here'))
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('ends an idle connection when the keepAliveTimeout it was promised is over, without a cut', async () => {
    const server = http.createServer({ keepAliveTimeout: 50 }, (_request, response) => response.end('here'))
    const { listeners, port } = await serve(server)
    const client = (await RawClient.connect({ port })).get('/1')
    await client.until(ends('here'))
    await expect(listeners.drain(restart)).resolves.toEqual({ cut: 0 })
    await client.closed()
    expect(client.error).toBeNull()
  })

  it('gives a connection without a request the time of a keepAliveTimeout, and answers a request that comes', async () => {
    const server = http.createServer((_request, response) => response.end('first'))
    const { listeners, port } = await serve(server)
    const connected = once(server, 'connection')
    const client = await RawClient.connect({ port })
    await connected
    const drained = listeners.drain(restart)
    client.get('/')
    expect(await client.closed()).toMatch(CLOSE)
    expect(client.text).toMatch(ends('first'))
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('ends a connection that never sends a request after a keepAliveTimeout', async () => {
    const server = http.createServer({ keepAliveTimeout: 50 })
    const { listeners, port } = await serve(server)
    const connected = once(server, 'connection')
    const client = await RawClient.connect({ port })
    await connected
    await expect(listeners.drain(restart)).resolves.toEqual({ cut: 0 })
    await client.closed()
    expect(client.error).toBeNull()
  })

  it('closes idle connections at once when a developer pressed Ctrl-C, and still answers what is in flight', async () => {
    const { handler, next } = held()
    const server = http.createServer({ keepAliveTimeout: 0 }, (request, response) => {
      if (request.url === '/held') handler(request, response)
      else response.end('here')
    })
    const { listeners, port } = await serve(server)
    const idle = (await RawClient.connect({ port })).get('/')
    await idle.until(ends('here'))
    const busy = (await RawClient.connect({ port })).get('/held')
    const response = await next()
    const connected = once(server, 'connection')
    const silent = await RawClient.connect({ port })
    await connected
    const drained = listeners.drain({ reason: 'shutdown', immediate: true, deadline: never })
    await idle.closed()
    await silent.closed()
    response.end('late')
    expect(await busy.closed()).toMatch(ends('late'))
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('cuts at the deadline what is left, and counts it', async () => {
    const { handler, next } = held()
    const server = http.createServer({ keepAliveTimeout: 0 }, (request, response) => {
      if (request.url === '/held') handler(request, response)
      else response.end('here')
    })
    const { listeners, port } = await serve(server)
    const idle = (await RawClient.connect({ port })).get('/')
    await idle.until(ends('here'))
    const busy = (await RawClient.connect({ port })).get('/held')
    await next()
    const deadline = new AbortController()
    const drained = listeners.drain({ reason: 'restart', immediate: false, deadline: deadline.signal })
    await turn()
    deadline.abort()
    await expect(drained).resolves.toEqual({ cut: 2 })
    await idle.closed()
    await busy.closed()
  })

  it('leaves upgraded connections to the application until the deadline', async () => {
    const server = http.createServer()
    server.on('upgrade', (_request, socket: net.Socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
      socket.pipe(socket)
    })
    const { listeners, port } = await serve(server)
    const client = (await RawClient.connect({ port })).get('/', 'Connection: upgrade\r\nUpgrade: echo\r\n')
    await client.until(/\r\n\r\n$/)
    const deadline = new AbortController()
    const drained = listeners.drain({ reason: 'restart', immediate: false, deadline: deadline.signal })
    await turn()
    client.write('still there')
    await client.until(/still there$/)
    deadline.abort()
    await expect(drained).resolves.toEqual({ cut: 1 })
  })

  it('joins a close() of the application: no idle connection is cut, no error reported', async () => {
    const server = http.createServer((_request, response) => response.end('here'))
    const { listeners, port } = await serve(server)
    const client = (await RawClient.connect({ port })).get('/')
    await client.until(ends('here'))
    const drained = listeners.drain(restart)
    const closed = new Promise<Error | undefined>((resolve) => server.close(resolve))
    client.text = ''
    client.get('/')
    expect(await client.closed()).toMatch(ends('here'))
    expect(await closed).toBeUndefined()
    await drained
    expect(await new Promise((resolve) => server.close(resolve))).toBeUndefined()
  })

  it('leaves servers alone that are not of the service', async () => {
    const other = http.createServer((_request, response) => response.end('other')).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { listeners } = await serve(http.createServer())
    await listeners.drain(restart)
    const client = (await RawClient.connect({ port: (other.address() as net.AddressInfo).port })).get('/')
    expect(await client.until(ends('other'))).not.toMatch(CLOSE)
    other.closeAllConnections()
    other.close()
  })
})

describe('other servers that drain', () => {
  it('https: idle connections live on, the next response says close, no transport is left', async () => {
    const { listeners, port } = await serve(
      https.createServer(certificate, (_request, response) => response.end('here')),
    )
    const client = (await RawClient.connect({ port }, { rejectUnauthorized: false })).get('/')
    await client.until(ends('here'))
    expect(listeners.counts()).toEqual({ connections: 1, inFlight: 0 })
    const drained = listeners.drain(restart)
    client.text = ''
    client.get('/')
    expect(await client.closed()).toMatch(CLOSE)
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('https: a connection without a request is waited for, and one that never sends any ended', async () => {
    const server = https.createServer({ ...certificate, keepAliveTimeout: 50 })
    const { listeners, port } = await serve(server)
    const connected = once(server, 'secureConnection')
    const client = await RawClient.connect({ port }, { rejectUnauthorized: false })
    await connected
    await expect(listeners.drain(restart)).resolves.toEqual({ cut: 0 })
    await client.closed()
  })

  it.each(['h2c', 'h2'])('%s: sends GOAWAY, finishes the streams in flight, counts them', async (kind) => {
    const { handler, next } = held()
    const server = kind === 'h2' ? http2.createSecureServer(certificate) : http2.createServer()
    server.on('request', handler as never)
    const { listeners, port } = await serve(server)
    const session = http2.connect(`http${kind === 'h2' ? 's' : ''}://127.0.0.1:${port}`, { rejectUnauthorized: false })
    const stream = session.request({ ':path': '/' })
    const response = await next()
    expect(listeners.counts()).toEqual({ connections: 1, inFlight: 1 })
    const goaway = once(session, 'goaway')
    const closed = once(session, 'close')
    const drained = listeners.drain(restart)
    expect((await goaway)[0]).toBe(0)
    response.end('late')
    stream.setEncoding('utf8')
    let body = ''
    for await (const chunk of stream) body += chunk
    expect(body).toBe('late')
    await closed
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('h2c: a session without a stream yet gets its first streams answered', async () => {
    const server = http2.createServer((_request, response) => response.end('first'))
    const { listeners, port } = await serve(server)
    const opened = once(server, 'session')
    const session = http2.connect(`http://127.0.0.1:${port}`)
    await opened
    await once(session, 'connect')
    const drained = listeners.drain(restart)
    const bodies = [1, 2, 3].map(async () => {
      let body = ''
      for await (const chunk of session.request({ ':path': '/' }).setEncoding('utf8')) body += chunk
      return body
    })
    expect(await Promise.all(bodies)).toEqual(['first', 'first', 'first'])
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('HTTP/1 over an http2 server (allowHTTP1): the same as https', async () => {
    const server = http2.createSecureServer({ ...certificate, allowHTTP1: true }, (_request, response) =>
      response.end('one'),
    )
    const { listeners, port } = await serve(server)
    const secure = { rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }
    const client = (await RawClient.connect({ port }, secure)).get('/')
    await client.until(ends('one'))
    const drained = listeners.drain(restart)
    client.text = ''
    client.get('/')
    expect(await client.closed()).toMatch(CLOSE)
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it("net: connections are the application's until they end", async () => {
    const server = net.createServer((socket) => socket.pipe(socket))
    const { listeners, port } = await serve(server)
    const client = (await RawClient.connect({ port })).write('a')
    await client.until(/a/)
    expect(listeners.counts()).toEqual({ connections: 1, inFlight: 0 })
    const drained = listeners.drain(restart)
    client.write('b')
    await client.until(/ab/)
    client.socket.end()
    await expect(drained).resolves.toEqual({ cut: 0 })
  })
})
