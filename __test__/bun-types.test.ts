/** What the compiler says of `serve` of '@shellflip/node/bun', with the types of Bun and without them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { linkTypes } from './support/consumer'
import { install, packPublished, sharedDirectory } from './support/install'
import { node, root } from './support/run'
import { linkBunTypes } from './support/runtimes'

const directory = sharedDirectory()
const withTypes = join(directory, 'with')
const without = join(directory, 'without')

beforeAll(async () => {
  const { filename } = await packPublished(join(directory, 'main'))
  await Promise.all([withTypes, without].map((folder) => install(folder, filename)))
  await linkBunTypes(withTypes)
  linkTypes(without)
}, 320_000)

const RESOLUTIONS = ['nodenext', 'esnext --moduleResolution bundler']

/** What the compiler finds wrong; the declarations of the package are looked at, too, those of others are not. */
async function compile(folder: string, types: string, resolution: string, text: string): Promise<string> {
  const name = join(folder, `program-${RESOLUTIONS.indexOf(resolution)}`)
  mkdirSync(name, { recursive: true })
  writeFileSync(join(name, 'program.mts'), text)
  const options = `--noEmit --strict --skipLibCheck false --target esnext --types ${types} --module ${resolution}`
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { stdout } = await node([tsc, ...options.split(' '), join(name, 'program.mts')], {
    cwd: folder,
    deadlineMs: 90_000,
  })
  return stdout
    .split('\n')
    .filter((line) => !/(bun-types|undici-types|@types)\//.test(line))
    .join('\n')
}

const WITH = `
import { shellflip } from '@shellflip/node'
import { serve, type ServeOptions } from '@shellflip/node/bun'

const service = await shellflip<{ visits: number }>()
interface Data { user: string }

const server = serve(service, {
  name: 'web',
  hostname: '127.0.0.1',
  port: '0',
  idleTimeout: 5,
  development: false,
  maxRequestBodySize: 1024,
  tls: [{ key: 'a', cert: 'b', serverName: 'c' }],
  routes: {
    '/fixed': new Response('x'),
    '/users/:id': ({ params }) => {
      // @ts-expect-error not in the path
      params.name
      const id: string = params.id
      return new Response(id)
    },
    '/methods': { GET: () => new Response('x'), POST: async (request) => Response.json(await request.json()) },
  },
  websocket: {
    data: {} as Data,
    message(socket, message) {
      const user: string = socket.data.user
      socket.send(user + message)
    },
    close(socket, code, reason) {
      const both: string = code + reason
    },
  },
  fetch(request, server) {
    if (server.upgrade(request, { data: { user: 'anna' } })) return
    // @ts-expect-error no data of this service
    server.upgrade(request, { data: { name: 'anna' } })
    return new Response(server.requestIP(request)?.address)
  },
  error: (error) => new Response(error.message),
})
const same: Bun.Server<Data> = server
server.reload({ fetch: () => new Response('x') })
server.ref()
const pending: number = server.pendingRequests + server.pendingWebSockets

const plain: Bun.Server<undefined> = serve(service, { fetch: () => new Response('x') })
serve(service, { unix: 'a.sock', fetch: () => new Response('x') })
const options: ServeOptions = { name: 'web', port: 3000, fetch: () => new Response('x') }
serve(service, options)

// @ts-expect-error Bun has no such option
serve(service, { prot: 3, fetch: () => new Response('x') })
// @ts-expect-error a name is a string
serve(service, { name: 3, fetch: () => new Response('x') })
// @ts-expect-error nothing answers
serve(service, { port: 3 })
// @ts-expect-error not a response
serve(service, { fetch: () => 3 })
// @ts-expect-error it is not bound to one port and one path at once
serve(service, { unix: 'a.sock', port: 3, fetch: () => new Response('x') })
`

const WITHOUT = `
import { shellflip, type Service } from '@shellflip/node'
import { type BunServer, serve, type ServeOptions } from '@shellflip/node/bun'

const service: Service = await shellflip()
const server: BunServer = serve(service, {
  name: 'web',
  port: 3000,
  routes: { '/fixed': new Response('x') },
  fetch: (request, server) => new Response(request.url + server.pendingRequests + server.requestIP(request)?.address),
})
server.reload({ fetch: () => new Response('x') }).unref()
const options: ServeOptions = { name: 'web', fetch: () => new Response('x') }
serve(service, options)
// @ts-expect-error a name is a string
serve(service, { name: 3 })
// @ts-expect-error there is no such member
server.nothing
`

describe.each(RESOLUTIONS)('as %s resolves', (resolution) => {
  test("with the types of Bun, options and server are Bun's own", { timeout: 120_000 }, async () => {
    expect(await compile(withTypes, 'bun', resolution, WITH)).toBe('')
  })

  test('without them, a few of ours stand in, and nothing is broken', { timeout: 120_000 }, async () => {
    expect(await compile(without, 'node', resolution, WITHOUT)).toBe('')
  })
})
