import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { Connections } from '../src/connections'
import { serve } from './support/drain'
import { certificate as makeCertificate } from './support/load/certificate.mjs'
import { RawClient } from './support/raw-client'

const certificate = makeCertificate()

const sizes = ({ sockets, secure, sessions }: Connections) => [sockets.size, secure.size, sessions.size]

describe('the connections of a server', () => {
  it('keep nothing of one that is gone: https', async () => {
    const server = https.createServer(certificate, (_request, response) => response.end('here'))
    const { port } = await serve(server)
    const connections = Connections.of(server)
    const client = (await RawClient.connect({ port }, { rejectUnauthorized: false })).get('/')
    await client.until(/here$/)
    expect(sizes(connections)).toEqual([1, 1, 0])
    const gone = Promise.all([...connections.sockets, ...connections.secure].map((socket) => once(socket, 'close')))
    client.socket.destroy()
    await gone
    expect(sizes(connections)).toEqual([0, 0, 0])
    server.close()
  })

  it('keep nothing of one that is gone: http2', async () => {
    const server = http2.createServer()
    const { port } = await serve(server)
    const connections = Connections.of(server)
    const opened = once(server, 'session')
    const client = http2.connect(`http://127.0.0.1:${port}`)
    const [session] = await opened
    expect(sizes(connections)).toEqual([1, 0, 1])
    const [socket] = [...connections.sockets]
    const gone = Promise.all([once(session, 'close'), once(socket!, 'close')])
    client.close()
    await gone
    expect(sizes(connections)).toEqual([0, 0, 0])
    server.close()
  })

  it('are counted once where a TLS socket is its own transport, as with Bun', () => {
    const server = new https.Server()
    const connections = Connections.of(server)
    const socket = Object.assign(new net.Socket(), { _httpMessage: {} })
    // Node's own listeners have no use for it.
    for (const event of ['connection', 'secureConnection']) server.listeners(event).at(-1)?.call(server, socket)
    expect(sizes(connections)).toEqual([1, 1, 0])
    expect(connections.counts()).toEqual({ connections: 1, inFlight: 1 })
  })
})
