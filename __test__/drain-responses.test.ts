import http from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { CLOSE, chunked, ends, held, restart, serve } from './support/drain'
import { RawClient } from './support/raw-client'

describe('a response while draining', () => {
  it.each<[string, (response: http.ServerResponse) => void]>([
    ['its own Connection header', (response) => response.setHeader('Connection', 'keep-alive').end('x')],
    ['its own Keep-Alive header', (response) => response.setHeader('Keep-Alive', 'timeout=99').end('x')],
    ['writeHead with an object', (response) => response.writeHead(200, { connection: 'keep-alive' }).end('x')],
    [
      'writeHead with a list',
      (response) => response.writeHead(200, 'OK', ['Connection', 'keep-alive', 'A', 'b']).end('x'),
    ],
    [
      'writeHead with a list after setHeader',
      (response) => response.setHeader('A', 'b').writeHead(200, ['CONNECTION', 'keep-alive']).end('x'),
    ],
    [
      'the Connection header removed',
      (response) => {
        response.removeHeader('connection')
        response.end('x')
      },
    ],
    [
      'flushHeaders',
      (response) => {
        response.flushHeaders()
        response.end('x')
      },
    ],
    ['writeHead wrapped by middleware before the drain', (response) => response.end('x')],
  ])('says close although the application uses %s', async (title, respond) => {
    const { handler, next } = held()
    const { listeners, port } = await serve(http.createServer(handler))
    const client = (await RawClient.connect({ port })).get('/')
    const response = await next()
    if (title.startsWith('writeHead wrapped')) {
      const original = response.writeHead
      response.writeHead = ((status: number) => original.call(response, status, { Connection: 'keep-alive' })) as never
    }
    const drained = listeners.drain(restart)
    respond(response)
    const text = await client.closed()
    expect(text).toMatch(CLOSE)
    expect(text).not.toMatch(/keep-alive/i)
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('keeps what else the application says, repeated headers too', async () => {
    const { handler, next } = held()
    const { listeners, port } = await serve(http.createServer(handler))
    const client = (await RawClient.connect({ port })).get('/')
    const response = await next()
    void listeners.drain(restart)
    response.writeHead(426, 'Upgrade', [
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
      'Connection',
      'upgrade',
      'Upgrade',
      'ws',
    ])
    response.end('x')
    const text = await client.closed()
    expect(text).toMatch(/^HTTP\/1.1 426 Upgrade\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/)
    expect(text).toMatch(/^Connection: upgrade, close\r$/m)
  })

  it('finishes a response begun before the drain, and closes with the next one', async () => {
    const { handler, next } = held()
    const { listeners, port } = await serve(http.createServer(handler))
    const client = (await RawClient.connect({ port })).get('/1')
    const first = await next()
    first.write('begun ')
    await client.until(/begun/)
    const drained = listeners.drain(restart)
    first.end('and finished')
    expect(await client.until(/0\r\n\r\n$/)).not.toMatch(CLOSE)
    client.text = ''
    client.get('/2')
    ;(await next()).end('second')
    expect(await client.closed()).toMatch(CLOSE)
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it.each([
    ['at once', (response: http.ServerResponse) => response.end(response.req.url)],
    ['later', (response: http.ServerResponse) => setImmediate(() => response.end(response.req.url))],
  ])('answers all pipelined requests that arrived together when they are answered %s', async (_when, respond) => {
    const { listeners, port } = await serve(http.createServer((_request, response) => void respond(response)))
    const client = (await RawClient.connect({ port })).get('/0')
    await client.until(ends('/0'))
    const drained = listeners.drain(restart)
    client.text = ''
    client.write([1, 2, 3, 4, 5].map((n) => `GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
    const text = await client.closed()
    expect([...text.matchAll(/\r\n\r\n(\/\d)/g)].map(([, path]) => path)).toEqual(['/1', '/2', '/3', '/4', '/5'])
    expect(text.match(new RegExp(CLOSE, 'gim'))).toHaveLength(1)
    expect(client.error).toBeNull()
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('answers pipelined requests that wait for their turn when the drain begins, whichever is ready first', async () => {
    const { handler, next } = held()
    const { listeners, port } = await serve(http.createServer(handler))
    const client = await RawClient.connect({ port })
    client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
    const first = await next()
    const second = await next()
    const drained = listeners.drain(restart)
    second.end('two')
    await turn()
    first.end('one')
    const text = await client.closed()
    expect(text).toMatch(/one[\s\S]*Connection: close[\s\S]*two$/)
    expect(text.match(new RegExp(CLOSE, 'gim'))).toHaveLength(1)
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('reads the rest of an upload that was answered early, so that the answer is not reset away', async () => {
    const { listeners, port } = await serve(
      http.createServer((_request, response) => void response.writeHead(413).end('too large')),
    )
    const client = (await RawClient.connect({ port })).get('/')
    await client.until(chunked('too large'))
    const drained = listeners.drain(restart)
    client.text = ''
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n')
    expect(await client.until(chunked('too large'))).toMatch(CLOSE)
    client.write('x'.repeat(2_000_000))
    await client.closed()
    expect(client.error).toBeNull()
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it.each([
    ['checkContinue', '100-continue'],
    ['checkExpectation', 'tea'],
  ])('marks the answers of %s, too', async (event, expectation) => {
    const server = http.createServer((_request, response) => response.end('x'))
    server.on(event, (_request, response: http.ServerResponse) => response.writeHead(417).end('no'))
    const { listeners, port } = await serve(server)
    const client = (await RawClient.connect({ port })).get('/')
    await client.until(ends('x'))
    const drained = listeners.drain(restart)
    client.text = ''
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: ${expectation}\r\n\r\n`)
    expect(await client.until(chunked('no'))).toMatch(CLOSE)
    if (event === 'checkExpectation') client.write('abc')
    await client.closed()
    await expect(drained).resolves.toEqual({ cut: 0 })
  })

  it('sends 100 Continue and takes the body, as always', async () => {
    const server = http.createServer(async (request, response) => {
      let size = 0
      for await (const chunk of request) size += (chunk as Buffer).length
      response.end(`got ${size}`)
    })
    const { listeners, port } = await serve(server)
    const client = (await RawClient.connect({ port })).write(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
    )
    await client.until(ends('got 3'))
    const drained = listeners.drain(restart)
    client.text = ''
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n')
    await client.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
    client.write('abc')
    expect(await client.closed()).toMatch(ends('got 3'))
    await expect(drained).resolves.toEqual({ cut: 0 })
  })
})
