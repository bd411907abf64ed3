/** Every server of Node's that a runtime can hand on, over a restart. */
import { writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import { join } from 'node:path'
import { expect } from 'vitest'
import { temporaryDirectory } from './directory'
import { get } from './http'
import { certificate } from './load/certificate.mjs'
import { RawClient } from './raw-client'
import { start } from './spawn'

/**
 * Asserts that net, tls, http, https and http2 servers answer at the same place from generation to generation. `execArgv` is
 * the runtime's; resolves with all that the service has printed.
 */
export async function expectEveryServer(execArgv: string[] = []): Promise<string> {
  const { key, cert } = certificate()
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'key.pem'), key)
  writeFileSync(join(directory, 'cert.pem'), cert)
  const service = start('every-server.mjs', { directory, execArgv })
  const first = await service.event('ready')
  const ports = first.ports as Record<'net' | 'tls' | 'http' | 'https' | 'http2' | 'h2c', number>
  const secure = { ca: cert, servername: 'localhost' }
  const greeting = async (client: Promise<RawClient>) => (await client).closed()
  const answers = async () => ({
    net: await greeting(RawClient.connect({ port: ports.net })),
    'net.sock': await greeting(RawClient.connect({ path: join(directory, 'net.sock') })),
    tls: await greeting(RawClient.connect({ port: ports.tls }, secure)),
    http: (await get({ port: ports.http })).body,
    'http.sock': (await get({ socketPath: join(directory, 'http.sock') })).body,
    https: (
      await (await RawClient.connect({ port: ports.https }, secure)).get('/', 'Connection: close\r\n').closed()
    ).at(-1),
    http2: await overHttp2(`https://127.0.0.1:${ports.http2}`, secure),
    h2c: await overHttp2(`http://127.0.0.1:${ports.h2c}`),
  })
  const all = (generation: number) =>
    Object.fromEntries(
      ['net', 'net.sock', 'tls', 'http', 'http.sock', 'https', 'http2', 'h2c'].map((name) => [
        name,
        String(generation),
      ]),
    )
  expect(await answers()).toEqual(all(1))
  const { pid } = await service.restart()
  expect(await service.event('ready')).toMatchObject({ pid, generation: 2, ports })
  expect(await answers()).toEqual(all(2))
  expect(await service.event('drained')).toMatchObject({ generation: 1, cut: 0 })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(pid)
  return service.output.text()
}

async function overHttp2(url: string, options?: object): Promise<string> {
  const session = http2.connect(url, options)
  try {
    const stream = session.request({ ':path': '/' }).setEncoding('utf8')
    let body = ''
    for await (const text of stream) body += text
    return body
  } finally {
    session.close()
  }
}
