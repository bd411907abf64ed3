// What only Bun has: its own server, servers without handles, programs compiled into one file.
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ESM, expectRestart } from './support/consumer'
import { temporaryDirectory } from './support/directory'
import { expectEveryServer } from './support/every-server'
import { get } from './support/http'
import { placePackage } from './support/placed'
import { descriptors, until } from './support/processes'
import { RawClient } from './support/raw-client'
import { root, run } from './support/run'
import { project } from './support/runtimes'
import { type Service, start } from './support/spawn'
import { expectStartsAgain } from './support/start-again'
import { subject, subjectIs } from './support/subject'

await subjectIs('bun')

/** The TCP sockets with which a process listens: inode to port. As the kernel says, not the runtime. */
function listening(pid: number): Map<string, number> {
  const found = new Map<string, number>()
  const held = new Set([...descriptors(pid).values()])
  for (const line of ['tcp', 'tcp6'].flatMap((kind) =>
    readFileSync(`/proc/${pid}/net/${kind}`, 'latin1').split('\n'),
  )) {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    if (state === '0A' && held.has(`socket:[${inode}]`)) found.set(String(inode), Number.parseInt(local.slice(-4), 16))
  }
  return found
}

const ask = async (port: unknown, path = '/') => JSON.parse((await get({ port: Number(port) }, path)).body)

async function serving(program: string, options: Parameters<typeof start>[1] = {}) {
  const service = start(program, options)
  const { pid, port } = await service.event('ready')
  return { service, pid: Number(pid), port: Number(port), go: () => writeFileSync(join(service.directory, 'go'), '') }
}

/** Asks for a restart and resolves once the new generation listens, and waits to be told to go. */
async function restarting(service: Service) {
  const outcome = service.restart()
  outcome.catch(() => {})
  for (;;) {
    const said = await service.event('listening')
    if (said.generation === 2) return { outcome, said }
  }
}

it.each(['ready-when-told.mjs', 'bun-serve.mjs'])(
  '%s: one socket of the kernel for all generations, and none beside it',
  async (program) => {
    const { service, pid, port, go } = await serving(program)
    const before = listening(pid)
    expect([...before.values()]).toEqual([port])
    const { outcome, said } = await restarting(service)
    expect(listening(said.pid)).toEqual(before)
    go()
    const restarted = await outcome
    expect(listening(restarted.pid)).toEqual(before)
    await service.gone(pid)
    expect(await ask(port)).toEqual({ pid: restarted.pid, generation: 2 })
    await service.end(restarted.pid)
  },
)

it('Bun.serve: nobody reaches the new generation before it is ready, and the old one drains without a cut', async () => {
  const { service, pid, port, go } = await serving('bun-serve.mjs')
  const held = ask(port, '/held')
  await service.event('asked')
  const idle = (await RawClient.connect({ port })).get('/')
  await idle.until(/\}$/)
  expect(idle.text).not.toMatch(/^connection: close/im)

  const { outcome, said } = await restarting(service)
  for (let request = 0; request < 20; request++) expect(await ask(port)).toEqual({ pid, generation: 1 })
  go()
  const restarted = await outcome
  for (let request = 0; request < 20; request++) expect(await ask(port)).toEqual({ pid: said.pid, generation: 2 })

  // On the connection that was idle: answered by the old one, and told to come back elsewhere.
  idle.text = ''
  await idle.get('/').until(/"generation":1\}$/)
  expect(idle.text).toMatch(/^connection: close\r$/im)
  writeFileSync(join(service.directory, 'answer'), '')
  expect(await held).toEqual({ pid, generation: 1 })
  expect(await service.event('drained')).toMatchObject({ generation: 1, cut: 0 })
  expect(await service.event('stopped')).toMatchObject({ generation: 1 })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(restarted.pid)
})

it.each(['/fixed', '/method', '/throws', '/'])('Bun.serve: while draining %s says Connection: close', async (path) => {
  const { service, port, go } = await serving('bun-serve.mjs')
  go()
  const client = await RawClient.connect({ port })
  await client.get(path).until(/\r\n\r\n/)
  expect(client.text).not.toMatch(/^connection: close/im)
  const { pid } = await service.restart()
  client.text = ''
  await client.get(path).until(/\r\n\r\n/)
  expect(client.text).toMatch(/^connection: close\r$/im)
  client.socket.destroy()
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(pid)
})

it('Bun.serve: port, hostname, url, address and status are those of the service', async () => {
  const { service, port } = await serving('bun-serve.mjs')
  expect(await service.event('listening')).toMatchObject({
    port,
    hostname: '127.0.0.1',
    url: `http://127.0.0.1:${port}/`,
    address: { address: '127.0.0.1', family: 'IPv4', port },
    status: { listeners: [{ name: 'web', address: { address: '127.0.0.1', family: 'IPv4', port } }] },
  })
  const { code, stdout } = await service.cli('status', ['--json'])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ connections: 0, inFlight: 0 })
  await service.end()
})

it('nothing of ours holds the process once it has drained, without exit too', async () => {
  const { service, go } = await serving('bun-serve.mjs', { env: { EXIT: 'no' } })
  go()
  const { pid } = await service.restart()
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(pid)
})

it('what is wrong is refused by name, and leaves no listener', async () => {
  const service = start('bun-refuses.mjs')
  const refusals = new Map<unknown, { code?: unknown; message?: unknown }>()
  for (let i = 0; i < 10; i++) {
    const { what, code, message } = await service.event('refused')
    refusals.set(what, { code, message })
  }
  const invalid = 'ERR_SHELLFLIP_INVALID_ARG'
  expect(Object.fromEntries([...refusals].map(([what, { code }]) => [what, code]))).toEqual({
    'no service': invalid,
    'no options': invalid,
    'a host name': invalid,
    'a port': invalid,
    'a name': invalid,
    "Bun's own": expect.not.stringContaining('SHELLFLIP'),
    http3: 'ERR_SHELLFLIP_UNSUPPORTED',
    'in use': 'EADDRINUSE',
    'a server of Bun': 'ERR_SHELLFLIP_UNSUPPORTED',
    'a name in use': invalid,
  })
  expect(refusals.get('a server of Bun')?.message).toMatch(/'@shellflip\/node\/bun'/)
  // What Bun has refused is not there to be drained either.
  expect(await service.event('listeners')).toMatchObject({ names: [], cut: 0 })
  await service.clean()
  expect(service.output.text()).not.toContain('ShellflipWarning')
})

it('where Bun cannot be looked into, http and net are adopted late; https, dgram and Bun.serve are refused', async () => {
  const { service, pid, port } = await serving('bun-late.mjs')
  expect(await service.event('listening')).toMatchObject({
    listening: [true, true],
    address: { address: '127.0.0.1', family: 'IPv4', port },
    refusals: Array(3).fill('ERR_SHELLFLIP_UNSUPPORTED'),
    messages: Array(3).fill(expect.stringMatching(/cannot be handed to Bun 1\..* Run the service under Node\.js/)),
    names: ['web', 'raw'],
  })
  expect(await ask(port)).toEqual({ pid, generation: 1 })
  const restarted = await service.restart()
  const { rawPort } = await service.event('ready')
  expect(await ask(port)).toEqual({ pid: restarted.pid, generation: 2 })
  const raw = await RawClient.connect({ port: Number(rawPort) })
  await raw.until(/generation 2\n$/)
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(restarted.pid)
})

it('servers of net, tls, http, https and http2, over TCP and unix sockets, are handed on', async () => {
  await expectEveryServer()
})

it('starts again with the same arguments and the environment as it was edited', async () => {
  await expectStartsAgain()
})

it('bunx shellflip is the command', async () => {
  const { service, go } = await serving('bun-serve.mjs')
  go()
  const folder = temporaryDirectory()
  project(folder)
  const bin = join(folder, 'node_modules/.bin')
  mkdirSync(bin)
  symlinkSync('../@shellflip/node/dist/cli.js', join(bin, 'shellflip'))
  for (const args of [['x', '--bun', 'shellflip'], [join(root, 'dist/cli.js')]]) {
    const { code, stdout, stderr } = await run(
      subject.file,
      [...args, 'status', '--json', '--socket', service.socket],
      {
        cwd: folder,
      },
    )
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ phase: 'ready' })
  }
  await service.end()
})

it('bun build --compile: the one file restarts itself, with the addon inside', { timeout: 60_000 }, async () => {
  const folder = temporaryDirectory()
  const app = join(folder, 'app')
  const script = join(subject.fixtures, 'prints-its-start.mjs')
  const built = await run(subject.file, ['build', '--compile', script, '--outfile', app], { cwd: folder })
  expect(built.code, built.stderr).toBe(0)
  const service = start(null, { file: app, args: ['a b', '--flag'] })
  const first = await service.event('started')
  expect(first).toMatchObject({ args: ['a b', '--flag'] })
  await service.event('ready')
  const { pid } = await service.restart()
  expect(await service.event('started')).toMatchObject({ pid, generation: 2, args: ['a b', '--flag'] })
  // Bun unpacks the addon into the temporary folder: none of it comes from the repository.
  const mapped = readFileSync(`/proc/${pid}/maps`, 'utf8')
  expect(mapped).not.toContain(root)
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(pid)
})

it('bun build --compile: an installed package is in the one file, too', { timeout: 60_000 }, async () => {
  const folder = temporaryDirectory()
  placePackage(folder)
  writeFileSync(join(folder, 'server.mjs'), ESM)
  const built = await run(subject.file, ['build', '--compile', 'server.mjs', '--outfile', 'app'], { cwd: folder })
  expect(built.code, built.stderr).toBe(0)
  rmSync(join(folder, 'node_modules'), { recursive: true })
  await expectRestart(start(null, { file: join(folder, 'app') }))
})

it('the program of docs/runtimes.md does what it says', async () => {
  const [, program = ''] = /^```js\n(.*?)^```$/ms.exec(readFileSync(join(root, 'docs/runtimes.md'), 'utf8')) ?? []
  const folder = temporaryDirectory()
  project(folder)
  writeFileSync(join(folder, 'bun-server.mjs'), program.replace('3000', '0'))
  const service = start(join(folder, 'bun-server.mjs'))
  let port: unknown
  await until(() => service.processes().length > 0, 'it does not run')
  while (port === undefined) {
    const { code, stdout } = await service.cli('status', ['--json'])
    const status = code === 0 ? JSON.parse(stdout) : undefined
    if (status?.phase === 'ready') port = status.listeners[0].address.port
  }
  expect((await get({ port: Number(port) }, '/')).body).toBe('generation 1\n')
  const { pid } = await service.restart()
  expect((await get({ port: Number(port) }, '/')).body).toBe('generation 2\n')
  expect((await get({ port: Number(port) }, '/health')).body).toBe('fine\n')
  await service.end(pid)
})

it('stopped and resumed, all accept again what has come meanwhile: http, net, dgram and Bun.serve', async () => {
  const service = start('bun-resumes.mjs')
  const answers = ['http', 'net', 'dgram', 'Bun.serve']
  expect(await service.event('answers')).toMatchObject({ when: 'accepting', answers })
  expect(await service.event('answers')).toMatchObject({ when: 'stopped', early: 0, listening: [false, false] })
  expect(await service.event('answers')).toMatchObject({ when: 'resumed', answers, warnings: [] })
  expect(await service.event('answers')).toMatchObject({ when: 'ended', cut: 0 })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
})
