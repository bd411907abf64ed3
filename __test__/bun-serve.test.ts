// Bun.serve in all its forms, over a restart: WebSockets, unix sockets, TLS, HTTP/2, routes, and the server it returns.
import { writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { beforeAll, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { get } from './support/http'
import { certificate } from './support/load/certificate.mjs'
import { RawClient } from './support/raw-client'
import { start } from './support/spawn'
import { subjectIs } from './support/subject'

await subjectIs('bun')

let pair: { key: string; cert: string }
beforeAll(() => {
  pair = certificate()
})

/** A WebSocket of RFC 6455, as far as short texts need one. */
class WebSocketClient {
  private constructor(readonly raw: RawClient) {}

  static async open(port: unknown, name: string): Promise<WebSocketClient> {
    const raw = await RawClient.connect({ port: Number(port) })
    const key = Buffer.from('sixteen bytes :)').toString('base64')
    const asks = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n`
    await raw.get(`/${name}`, asks).until(/^HTTP\/1\.1 101 .*\r\n\r\n/s)
    raw.text = ''
    return new WebSocketClient(raw)
  }

  /** Clients mask what they send; by nothing will do. */
  #frame(opcode: number, payload: Buffer): void {
    this.raw.socket.write(Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]))
  }

  async ask(text: string): Promise<string> {
    this.raw.text = ''
    this.#frame(1, Buffer.from(text))
    await this.raw.until(/^\x81./s)
    const length = this.raw.text.charCodeAt(1)
    while (this.raw.text.length < 2 + length) await this.raw.until(new RegExp(`^.{${2 + length}}`, 's'))
    return this.raw.text.slice(2, 2 + length)
  }

  /** The code with which the server closes it. Says so, too, as the protocol wants it. */
  async closeCode(): Promise<number> {
    const [, , , high = '', low = ''] = /\x88(.)((.)(.))/s.exec(await this.raw.until(/\x88.{3}/s)) ?? []
    const code = Buffer.from(high + low, 'latin1')
    this.#frame(8, code)
    await this.raw.closed()
    return code.readUInt16BE()
  }
}

it('open WebSockets stay with the old generation until it closes them, and come back to the new one', async () => {
  const service = start('bun-websockets.mjs', { env: { CLOSES: '1' } })
  const { port } = await service.event('ready')
  const client = await WebSocketClient.open(port, 'anna')
  expect(await client.ask('hello')).toBe('1 anna hello')
  expect(await client.ask('publish')).toBe('heard')
  client.raw.text = ''
  const { pid } = await service.restart()
  expect(await service.event('aborted')).toMatchObject({ open: 1 })
  expect(await client.closeCode()).toBe(1012)
  expect(await service.event('closed')).toMatchObject({ generation: 1, code: 1012 })
  expect(await service.event('drained')).toMatchObject({ generation: 1, cut: 0 })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })

  const again = await WebSocketClient.open(port, 'anna')
  expect(await again.ask('hello')).toBe('2 anna hello')
  again.raw.socket.destroy()
  await service.end(pid)
})

it('a WebSocket that nobody closes works until the deadline, which counts it and says 1001', {
  timeout: 30_000,
}, async () => {
  const service = start('bun-websockets.mjs', { env: { DRAIN_TIMEOUT_MS: '2000' } })
  const { port } = await service.event('ready')
  const client = await WebSocketClient.open(port, 'anna')
  const { pid } = await service.restart()
  expect(await client.ask('still')).toBe('1 anna still')
  client.raw.text = ''
  expect(await client.closeCode()).toBe(1001)
  expect(await service.event('drained')).toMatchObject({ generation: 1, cut: 1 })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(pid)
})

/** Starts every kind of Bun.serve, in a folder with a key and a certificate. */
async function servers() {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'key.pem'), pair.key)
  writeFileSync(join(directory, 'cert.pem'), pair.cert)
  const service = start('bun-servers.mjs', { directory })
  const said = await service.event('ready')
  return { service, said, directory, of: (name: string) => said[name] as { port: number; url: string } }
}

it('the server is the one that Bun would return: where it listens, and what can be done with it', async () => {
  const { service, said, of } = await servers()
  const none = { pendingRequests: 0, pendingWebSockets: 0 }
  const tcp = (name: string, hostname: string, address: string, protocol = 'http') => {
    const { port } = of(name)
    const family = address === '::' ? 'IPv6' : 'IPv4'
    return { port, hostname, url: `${protocol}://${hostname}:${port}/`, address: { address, family, port }, ...none }
  }
  expect(said.web).toEqual(tcp('web', '127.0.0.1', '127.0.0.1'))
  expect(said.secure).toEqual(tcp('secure', '127.0.0.1', '127.0.0.1', 'https'))
  expect(said.any).toEqual(tcp('any', 'localhost', '::'))
  expect(said.unix).toEqual({ url: expect.stringMatching(/^unix:.*web\.sock$/), address: 'web.sock', ...none })

  const used = await service.event('used')
  expect(used).toMatchObject({
    fetched: { generation: 1, url: `${of('web').url}here` },
    same: true,
    inside: [expect.any(Number), 6],
    listeners: ['web', 'unix', 'secure', 'http2', 'any'],
  })
  const [temporary] = used.inside as number[]
  for (const port of [temporary, used.stopped]) {
    await expect(get({ port: Number(port) })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  }
  expect((await get({ port: of('web').port }, '/reloaded')).body).toBe('reloaded')
  await service.end()
})

it('unix sockets, TLS, and both families of addresses are handed on', async () => {
  const { service, directory, of } = await servers()
  const ask = async (generation: number) => {
    const socketPath = join(directory, 'web.sock')
    expect((await get({ socketPath })).body).toBe(String(generation))
    for (const host of ['127.0.0.1', '::1']) {
      const raw = await RawClient.connect({ port: of('any').port, ...{ host } })
      await raw.get('/', 'Connection: close\r\n').until(new RegExp(`\r\n\r\n${generation}$`))
    }
    const secure = await RawClient.connect({ port: of('secure').port }, { ca: pair.cert, servername: 'localhost' })
    await secure.get('/', 'Connection: close\r\n').until(new RegExp(`\r\n\r\n${generation}$`))
  }
  await service.event('used')
  await ask(1)
  const { pid } = await service.restart()
  await ask(2)
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(pid)
})

it('in the new generation requests know their server and their client, and a file says Connection: close in the old', async () => {
  const directory = temporaryDirectory()
  const service = start('bun-routes.mjs', { directory })
  const { port } = await service.event('ready')
  const idle = (await RawClient.connect({ port: Number(port) })).get('/file')
  await idle.until(/a file$/)
  expect(idle.text).not.toMatch(/^connection: close/im)
  const { pid } = await service.restart()
  idle.text = ''
  await idle.get('/file').until(/a file$/)
  expect(idle.text).toMatch(/^connection: close\r$/im)
  idle.socket.destroy()
  const raw = await RawClient.connect({ port: Number(port) })
  const { localPort } = raw.socket
  await raw.get('/who', 'Connection: close\r\n').until(/\}$/)
  const [body = ''] = /\{.*\}$/.exec(raw.text) ?? []
  expect(JSON.parse(body)).toEqual({
    generation: 2,
    same: true,
    address: '127.0.0.1',
    port: localPort,
    pendingRequests: 1,
  })
  expect((await get({ port: Number(port) }, '/users/7')).body).toBe('2 7')
  expect((await get({ port: Number(port) }, '/dir/file.txt')).body).toBe('a file')
  expect((await get({ port: Number(port) }, '/no')).body).toContain('"generation":2')
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(pid)
})

it('a folder, whose responses are all of Bun, is answered in full until idleTimeout is over', {
  timeout: 30_000,
}, async () => {
  const service = start('bun-routes.mjs')
  const { port } = await service.event('ready')
  const client = await RawClient.connect({ port: Number(port) })
  await client.get('/dir/file.txt').until(/a file$/)
  const { pid } = await service.restart()
  client.text = ''
  let answered = 0
  for (; !client.socket.destroyed; client.text = '') {
    await client
      .get('/dir/file.txt')
      .until(/a file$/)
      .then(
        () => answered++,
        () => {},
      )
    await setTimeout(10)
  }
  expect(answered).toBeGreaterThan(0)
  expect(await service.event('drained')).toMatchObject({ generation: 1, cut: 0 })
  await service.end(pid)
})

it('a client of HTTP/2 that never rests is told GOAWAY once idleTimeout is over, and loses nothing', {
  timeout: 30_000,
}, async () => {
  const { service, of } = await servers()
  await service.event('used')
  const url = `https://127.0.0.1:${of('http2').port}`
  const connect = () => http2.connect(url, { ca: pair.cert, servername: 'localhost' })
  const ask = async (session: http2.ClientHttp2Session) => {
    const stream = session.request({ ':path': '/' })
    let body = ''
    stream.setEncoding('utf8')
    for await (const text of stream) body += text
    return body
  }
  const session = connect()
  const wentAway = new Promise<number>((resolve) => session.once('goaway', (code) => resolve(code)))
  expect(await ask(session)).toBe('1')
  const { pid } = await service.restart()
  // Refused is what came after GOAWAY's last stream: the client knows that it may ask again.
  while (!session.closed && !session.destroyed) {
    const answer = await ask(session).catch((error) => `${error.code} ${error.message}`)
    expect(answer).toMatch(/^1$|^ERR_HTTP2_(GOAWAY|INVALID)_SESSION|NGHTTP2_REFUSED_STREAM/)
  }
  expect(await wentAway).toBe(0)
  expect(await service.event('drained')).toMatchObject({ generation: 1, cut: 0 })
  const next = connect()
  expect(await ask(next)).toBe('2')
  next.close()
  await service.end(pid)
})
