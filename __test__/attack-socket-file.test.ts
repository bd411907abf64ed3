/** The coordination socket's file, deleted or replaced under a running service: with real processes and real clocks. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { frozen } from './support/generations'
import { get } from './support/http'
import { descriptors, until } from './support/processes'
import { run, shellflip } from './support/run'
import { type Service, start } from './support/spawn'

async function serving(env: NodeJS.ProcessEnv = {}, program = 'socket-derived.mjs') {
  const service = start(program, { env })
  const { port, pid } = await service.event('ready')
  const status = async () => JSON.parse((await get({ port: Number(port) }, '/')).body)
  const { socket } = program === 'socket-derived.mjs' ? await status() : service
  return { service, pid: Number(pid), status, socket: socket as string }
}

/** Restarts by the signal, the only way in without a socket; resolves with the new generation's pid. */
async function restartBySignal(service: Service, pid: number): Promise<number> {
  service.signal('SIGUSR2', pid)
  const ready = await service.event('ready')
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  return Number(ready.pid)
}

function listener(path: string): Promise<net.Server> {
  const server = net.createServer((socket) => socket.destroy())
  onTestFinished(() => void server.close())
  return new Promise((resolve) => server.listen(path, () => resolve(server)))
}

function linkToFile(path: string): void {
  writeFileSync(`${path}.target`, 'kept')
  symlinkSync(`${path}.target`, path)
}

/** The native command line against any socket. */
const cli = (command: string, socket: string) => run(shellflip, [command, '--socket', socket, '--json'])

const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8)

describe('a deleted socket file', () => {
  it('comes back with the next generation, born private, and the command line restarts it again', async () => {
    const { service, pid, socket } = await serving()
    await frozen(pid, async () => {
      rmSync(socket)
      expect((await service.cli('restart')).code).toBe(3)
    })
    const next = await restartBySignal(service, pid)
    expect(mode(socket)).toBe('600')
    expect(readdirSync(dirname(socket))).toEqual(['service.sock'])
    const restarted = await service.restart()
    expect(restarted.generation).toBe(3)
    await service.gone(next)
    await service.end(restarted.pid)
  })

  it('comes back by itself while the service runs', async () => {
    const { service, pid, socket } = await serving()
    const before = descriptors(pid).size
    rmSync(socket)
    await service.event('warned', 30_000)
    expect(JSON.parse((await service.cli('status', ['--json'])).stdout)).toMatchObject({ pid, generation: 1, socket })
    await until(() => descriptors(pid).size <= before, 'the deleted socket is still open')
    await service.end(pid)
  })

  it('comes back after a restart that failed', async () => {
    const { service, socket, pid } = await serving({}, 'exits-before-ready.mjs')
    rmSync(socket)
    service.signal('SIGUSR2')
    await service.event('failed')
    expect((await service.cli('status')).code).toBe(0)
    await service.end(pid)
  })

  it('comes back if it is deleted while the new generation starts', async () => {
    const { service, socket } = await serving({}, 'ready-when-told.mjs')
    const restarted = service.restart()
    await service.event('listening')
    await service.event('listening')
    rmSync(socket)
    writeFileSync(join(service.directory, 'go'), '')
    const { pid } = await restarted
    await service.event('ready')
    await service.firstExit
    expect((await service.restart()).generation).toBe(3)
    await service.gone(pid)
    await service.end()
  })
})

describe('a deleted directory', () => {
  it('is made again, private, if it is the one that was derived', async () => {
    const { service, pid, socket } = await serving({ SHELLFLIP_SOCKET: undefined })
    const directory = dirname(socket)
    expect(directory).toBe(join(service.directory, `shellflip-${process.getuid?.()}`))
    rmSync(directory, { recursive: true })
    const next = await restartBySignal(service, pid)
    expect(mode(directory)).toBe('700')
    expect((await cli('status', socket)).code).toBe(0)
    await service.end(next)
  })

  it('is its owner’s to make if it was asked for: status says that there is none, until it is there again', async () => {
    const directory = join(temporaryDirectory(), 'run')
    mkdirSync(directory)
    const { service, pid, status, socket } = await serving({ SHELLFLIP_SOCKET: join(directory, 's.sock') })
    rmSync(directory, { recursive: true })
    expect((await service.event('warned', 30_000)).message).toMatch(
      /only a signal can restart this service.*does not exist/,
    )
    expect(await status()).toMatchObject({ pid, socket: null })
    mkdirSync(directory)
    expect((await service.event('warned', 30_000)).message).toMatch(/is there again/)
    expect(await status()).toMatchObject({ pid, socket })
    await service.end(pid)
  })
})

describe('a path that is somebody else’s by now is never taken', () => {
  it('a live instance: it goes on answering, and status says so', async () => {
    const path = join(temporaryDirectory(), 's.sock')
    const { service, pid, socket, status } = await serving({ SHELLFLIP_SOCKET: path })
    const second = await frozen(pid, async () => {
      rmSync(socket)
      const second = start('socket-derived.mjs', { env: { SHELLFLIP_SOCKET: socket } })
      return { service: second, ...(await second.event('ready')) }
    })
    const next = await restartBySignal(service, pid)
    expect((await service.event('warned')).message).toMatch(new RegExp(`process ${second.pid} answers it`))
    expect(await status()).toMatchObject({ pid: next, socket: null })
    await service.end(next)
    expect(lstatSync(socket).isSocket()).toBe(true)
    expect((await cli('status', socket)).stdout).toContain(`"pid":${second.pid}`)
    await second.service.end(second.pid)
  })

  it.each([
    ['a regular file', (path: string) => writeFileSync(path, 'kept')],
    ['a directory', (path: string) => mkdirSync(path)],
    ['a dangling link', (path: string) => symlinkSync(`${path}.nowhere`, path)],
    ['a link to a file', linkToFile],
  ])('%s', async (_, plant) => {
    const { service, pid, socket, status } = await serving()
    await frozen(pid, async () => {
      rmSync(socket)
      plant(socket)
    })
    const before = lstatSync(socket)
    const next = await restartBySignal(service, pid)
    expect((await service.event('warned')).message).toMatch(/is not followed or replaced/)
    expect(await status()).toMatchObject({ pid: next, socket: null })
    await service.end(next)
    expect(lstatSync(socket).ino).toBe(before.ino)
    if (before.isFile()) expect(readFileSync(socket, 'utf8')).toBe('kept')
  })

  it('a socket that was put in its place is left to its owner, and taken back once that is gone', async () => {
    const { service, pid, socket, status } = await serving()
    const aside = join(service.directory, 'other.sock')
    const other = await listener(aside)
    renameSync(aside, socket)
    await service.event('warned', 30_000)
    expect(await status()).toMatchObject({ socket: null })
    await new Promise((resolve) => other.close(resolve))
    expect((await service.event('warned', 30_000)).message).toMatch(/is there again/)
    expect((await service.cli('status', ['--json'])).stdout).toContain(`"pid":${pid}`)
    await service.end(pid)
  })
})

describe('what is at the path when a service starts', () => {
  const starting = (socket: string) => start('socket-derived.mjs', { env: { SHELLFLIP_SOCKET: socket } })

  it('a stale file is replaced', async () => {
    const dead = start('serves.mjs')
    await dead.event('ready')
    await dead.kill()
    expect(lstatSync(dead.socket).isSocket()).toBe(true)
    const service = starting(dead.socket)
    const { pid } = await service.event('ready')
    expect((await cli('status', dead.socket)).stdout).toContain(`"pid":${pid}`)
    await service.end(Number(pid))
    expect(readdirSync(dead.directory)).toEqual([])
  })

  it('a live second instance is refused, naming the first', async () => {
    const { service, pid, socket } = await serving()
    const second = starting(socket)
    expect((await second.firstExit).code).toBe(1)
    expect(second.output.text()).toContain('ERR_SHELLFLIP_SOCKET_IN_USE')
    expect(second.output.text()).toContain(`process ${pid} answers it`)
    expect((await service.restart()).generation).toBe(2)
    await service.end()
  })

  it('a live second instance of a derived path warns and goes on without', async () => {
    const env = { SHELLFLIP_SOCKET: undefined }
    const { service, pid, socket } = await serving(env)
    const second = start('socket-derived.mjs', { env: { ...env, TMPDIR: service.directory } })
    const other = await second.event('ready')
    expect(second.output.text()).toContain(`process ${pid} answers it`)
    const status = JSON.parse((await get({ port: Number(other.port) }, '/')).body)
    expect(status).toMatchObject({ pid: other.pid, socket: null })
    await second.end(Number(other.pid))
    expect(lstatSync(socket).isSocket()).toBe(true)
    await service.end(pid)
  })

  it.each([
    ['a dangling link', (path: string) => symlinkSync(`${path}.nowhere`, path)],
    ['a link to a file', linkToFile],
    ['a regular file', (path: string) => writeFileSync(path, 'kept')],
    ['a directory', (path: string) => mkdirSync(path)],
  ])('%s is neither followed nor replaced', async (_, plant) => {
    const directory = temporaryDirectory()
    const path = join(directory, 's.sock')
    plant(path)
    const before = readdirSync(directory).map((name) => [name, lstatSync(join(directory, name)).ino])
    const service = starting(path)
    expect((await service.firstExit).code).toBe(1)
    expect(service.output.text()).toMatch(/is not followed or replaced/)
    expect(readdirSync(directory).map((name) => [name, lstatSync(join(directory, name)).ino])).toEqual(before)
  })

  it('a link to a live socket is not followed either', async () => {
    const { service, pid, socket } = await serving()
    const link = join(service.directory, 'link.sock')
    symlinkSync(socket, link)
    const second = starting(link)
    expect((await second.firstExit).code).toBe(1)
    expect(second.output.text()).toContain('a symbolic link is there')
    expect((await service.cli('status')).code).toBe(0)
    await service.end(pid)
    rmSync(link)
  })

  it.each([
    [0o777, 1, /writable by all users and not sticky/],
    [0o1777, 0, /"event":"ready"/],
  ])('a directory with mode %o', async (bits, code, said) => {
    const directory = join(temporaryDirectory(), 'open')
    mkdirSync(directory)
    chmodSync(directory, bits)
    const service = starting(join(directory, 's.sock'))
    if (code === 0) await service.event('ready').then(() => service.end())
    expect((await service.firstExit).code).toBe(code)
    expect(service.output.text()).toMatch(said)
    expect(readdirSync(directory)).toEqual([])
  })

  it('a derived directory that somebody else prepared is not used: it warns and goes on without', async () => {
    const directory = temporaryDirectory()
    mkdirSync(join(directory, `shellflip-${process.getuid?.()}`), { mode: 0o755 })
    const service = start('socket-derived.mjs', { env: { SHELLFLIP_SOCKET: undefined, TMPDIR: directory } })
    const { pid } = await service.event('ready')
    expect(service.output.text()).toMatch(/must be a directory of user \d+ with mode 0700/)
    await service.end(Number(pid))
  })

  it('a path as long as the system allows works, one byte more is refused', async () => {
    const directory = temporaryDirectory()
    const longest = join(directory, 'x'.repeat(107 - directory.length - 1))
    const service = starting(longest)
    const { pid } = await service.event('ready')
    expect((await cli('status', longest)).code).toBe(0)
    await service.end(Number(pid))
    expect(readdirSync(directory)).toEqual([])
    const refused = starting(`${longest}x`)
    expect((await refused.firstExit).code).toBe(1)
    expect(refused.output.text()).toMatch(/108 bytes, and the system allows 107/)
    expect(readdirSync(directory)).toEqual([])
  })
})
