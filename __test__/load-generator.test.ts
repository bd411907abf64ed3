// The load generator itself: each way to lose a request is seen, and called by its name. A load that sees nothing proves nothing.
import { once } from 'node:events'
import http2 from 'node:http2'
import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { certificate } from './support/load/certificate.mjs'
import { NONE } from './support/load/counters.mjs'
import { startLoad } from './support/load/load.mjs'
import { target } from './support/load/target.mjs'

const servers: { close(): void }[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

const one = { client: { count: 1, route: 'echo', thinkMs: [0, 5], keepAlive: true } } as const

/** A server that treats each request, given by its token and number, as the fault under test says. */
async function faulty(treat: (socket: Socket, token: string, count: number) => void) {
  let count = 0
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      const token = /^GET \/echo\/(\S+) /.exec(bytes.toString())?.[1]
      if (token) treat(socket, token, ++count)
    })
  })
  return listening(server)
}

async function listening(server: Server) {
  server.listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const answer = (token: string, headers = '') => {
  const body = `${token} 1 1\n`
  return `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`
}

/** Runs one client until something has failed or `enough` requests are answered. */
async function failuresOf(address: string, ca?: string, enough = 20) {
  const load = startLoad(target(address, ca), one)
  const { counters } = load
  await Promise.race([
    load.answeredBy(1, enough),
    expect.poll(() => counters.failed, { timeout: 10_000 }).toBeGreaterThan(0),
  ])
  await load.stop()
  return { kinds: Object.keys(NONE).filter((kind) => counters.failures()[kind]), counters }
}

const http = async (treat: Parameters<typeof faulty>[0]) => failuresOf(`http://127.0.0.1:${await faulty(treat)}`)

test('a faultless server loses nothing', async () => {
  const { counters } = await http((socket, token) => socket.write(answer(token)))
  expect(counters.failures()).toEqual(NONE)
  expect(counters.answered).toBeGreaterThanOrEqual(20)
})

test('refused: nobody listens', async () => {
  const port = await listening(net.createServer())
  for (const server of servers.splice(0)) server.close()
  expect((await failuresOf(`http://127.0.0.1:${port}`)).kinds).toEqual(['refused'])
})

test('reset: the connection is reset before the answer', async () => {
  expect((await http((socket) => socket.resetAndDestroy())).kinds).toEqual(['reset'])
})

test('cut: the connection ends within the answer', async () => {
  expect((await http((socket, token) => socket.end(answer(token).slice(0, -3)))).kinds).toEqual(['cut'])
})

test('cut: a chunked answer without its last chunk', async () => {
  const head = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'
  const { kinds } = await http((socket, token) => socket.end(`${head}${token.length.toString(16)}\r\n${token}\r\n`))
  expect(kinds).toEqual(['cut'])
})

test('unanswered: the connection ends without a byte', async () => {
  expect((await http((socket) => socket.end())).kinds).toEqual(['unanswered'])
})

test('wrong: the answer to another request', async () => {
  expect((await http((socket) => socket.write(answer('another')))).kinds).toEqual(['wrong'])
})

test('wrong: an error status', async () => {
  const refuse = (token: string) => answer(token).replace('200 OK', '503 Service Unavailable')
  expect((await http((socket, token) => socket.write(refuse(token)))).kinds).toEqual(['wrong'])
})

test('unannounced: an idle connection is closed although it was to be kept', async () => {
  const { kinds } = await http((socket, token) =>
    socket.write(answer(token, 'keep-alive: timeout=5\r\n'), () => socket.end()),
  )
  // The same close is `unanswered` or `reset` to a client that happens to send at that moment.
  expect(kinds.length).toBeGreaterThan(0)
  expect(['unannounced', 'unanswered', 'reset']).toEqual(expect.arrayContaining(kinds))
})

test('an announced close is a reconnect, not a loss', async () => {
  const { counters } = await http((socket, token) => socket.end(answer(token, 'connection: close\r\n')))
  expect(counters.failures()).toEqual(NONE)
  expect(counters.reconnects).toBeGreaterThanOrEqual(19)
})

test('a promise of one second is never relied upon', async () => {
  const { counters } = await http((socket, token) => socket.end(answer(token, 'keep-alive: timeout=1\r\n')))
  expect(counters.failures()).toEqual(NONE)
  expect(counters.expired).toBeGreaterThanOrEqual(19)
})

/** Every fifth answer is the last one of its HTTP/2 session. */
async function http2Failures(end: (session: http2.ServerHttp2Session, socket: Socket | undefined) => void) {
  const { key, cert } = certificate()
  const sockets: Socket[] = []
  let count = 0
  const server = http2.createSecureServer({ key, cert }, (request, response) => {
    const session = request.stream.session as http2.ServerHttp2Session
    session.on('error', () => {})
    response.end(`${request.url.slice('/echo/'.length)} 1 1\n`)
    if (++count % 5 === 0) response.stream.on('close', () => setImmediate(end, session, sockets.pop()))
  })
  server.on('secureConnection', (socket) => sockets.push(socket))
  return failuresOf(`h2://127.0.0.1:${await listening(server)}`, cert)
}

test('http2: a GOAWAY announces the close', async () => {
  const { counters } = await http2Failures((session) => session.close())
  expect(counters.failures()).toEqual(NONE)
  expect(counters.reconnects + counters.resent).toBeGreaterThanOrEqual(3)
})

test('http2: a connection closed without one is a loss', async () => {
  const { counters } = await http2Failures((_session, socket) => socket?.destroy())
  expect(counters.failed).toBeGreaterThan(0)
})
