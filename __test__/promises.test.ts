/** The promises of the design, each by its name, with real processes; promise 3 has its own files, fault-*.test.ts. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { get } from './support/http'
import { alive } from './support/processes'
import { type Service, start } from './support/spawn'

async function serving(program: string, env: NodeJS.ProcessEnv = {}) {
  const service = start(program, { env })
  const { pid, port } = await service.event('ready')
  const ask = async () => JSON.parse((await get({ port: Number(port) }, '/')).body)
  expect(await ask()).toEqual({ pid, generation: 1 })
  return { service, pid: Number(pid), port: Number(port), ask }
}

async function listening(service: Service, generation: number) {
  for (;;) {
    const said = await service.event('listening')
    if (said.generation === generation) return said
  }
}

async function refused(service: Service) {
  const { code, stdout, stderr } = await service.cli('restart', ['--json'])
  return { code, said: JSON.parse(stdout), stderr }
}

describe('1. no old code keeps running after a successful restart', () => {
  it('the old generation drains, then exits', async () => {
    const { service, pid, ask } = await serving('serves.mjs')
    const restarted = await service.restart()
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    expect(alive(pid)).toBe(false)
    expect(await ask()).toEqual({ pid: restarted.pid, generation: 2 })
    await service.end(restarted.pid)
  })

  it('within its deadline, and what that cuts is counted', async () => {
    const { service, port } = await serving('upgrades.mjs')
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n')
    await once(socket, 'data')
    const { pid } = await service.restart()
    expect(await service.event('drained')).toMatchObject({ cut: 1 })
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    socket.destroy()
    await service.end(pid)
  })
})

describe('the end of an old generation', () => {
  it('runs its hooks, however little there is to drain', async () => {
    const service = start('hooked.mjs')
    await service.event('ready')
    let pid = 0
    for (let generation = 1; generation <= 15; generation++) {
      pid = (await service.restart()).pid
      expect(await service.event('hook')).toMatchObject({ generation })
    }
    await service.end(pid)
  })

  it('does not complain of handles that nobody holds', async () => {
    const service = start('hangs.mjs')
    const { port } = await service.event('ready')
    const hanging = get({ port: Number(port) }, '/').catch((error: Error) => error)
    await service.event('asked')
    const { pid } = await service.restart()
    expect(await service.event('drained')).toMatchObject({ cut: 1 })
    expect(await hanging).toBeInstanceOf(Error)
    await service.firstExit
    await service.end(pid)
    expect(service.output.text()).not.toContain('is still held')
  })
})

describe('restarts faster than the drain', () => {
  it('leave several generations draining, each named by status, and none mistaken for dead', async () => {
    const service = start('answers-when-told.mjs')
    const { pid, port } = await service.event('ready')
    const held = get({ port: Number(port) }, '/')
    await service.event('asked')
    const second = await service.restart()
    const third = await service.restart()
    await service.gone(second.pid)
    // The third is told of the second's end by the system, in its own time.
    const draining = async () => JSON.parse((await service.cli('status', ['--json'])).stdout)
    let status = await draining()
    while (status.draining.some((each: { pid: number }) => each.pid === second.pid)) status = await draining()
    expect(status).toMatchObject({ pid: third.pid, generation: 3, draining: [{ pid, generation: 1 }] })
    writeFileSync(join(service.directory, 'answer'), '')
    expect(JSON.parse((await held).body)).toEqual({ pid, generation: 1 })
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.end(third.pid)
    expect(service.output.text()).not.toContain('while starting')
  })
})

describe('a coordination socket that cannot be had', () => {
  it('is named, with the reason', async () => {
    const service = start('serves.mjs', { env: { SHELLFLIP_SOCKET: '/proc/none/service.sock' } })
    expect((await service.firstExit).code).toBe(1)
    await service.clean()
    expect(service.output.text()).toMatch(/ENOENT: no such file or directory; .*\/proc\/none/)
  })
})

describe('2. the new generation has a grace period to initialise', () => {
  it('no client reaches it before it is committed', async () => {
    const { service, pid, ask } = await serving('ready-when-told.mjs')
    const restarted = service.restart()
    const second = await listening(service, 2)
    for (let request = 0; request < 100; request++) expect(await ask()).toEqual({ pid, generation: 1 })
    writeFileSync(join(service.directory, 'go'), '')
    expect((await restarted).pid).toBe(second.pid)
    for (let request = 0; request < 20; request++) expect(await ask()).toEqual({ pid: second.pid, generation: 2 })
    await service.end(Number(second.pid))
  })
})

describe('4. one restart at a time', () => {
  it('a second request is refused at once, with the reason', async () => {
    const { service, pid, ask } = await serving('ready-when-told.mjs')
    const first = service.restart()
    await listening(service, 2)
    const second = await refused(service)
    expect(second.code).toBe(4)
    expect(second.said).toMatchObject({ ok: false, code: 'ERR_SHELLFLIP_RESTART_IN_PROGRESS' })
    expect(await ask()).toEqual({ pid, generation: 1 })
    writeFileSync(join(service.directory, 'go'), '')
    const restarted = await first
    expect(restarted.generation).toBe(2)
    await service.end(restarted.pid)
  })
})

describe('5. whoever asked learns the outcome', () => {
  it('by the command line: the new pid, its generation, how long it took', async () => {
    const { service } = await serving('serves.mjs')
    const { code, stdout } = await service.cli('restart')
    expect(code).toBe(0)
    const said = /^generation 2 is ready \(pid (\d+), \d+ ms\)\n$/.exec(stdout)
    expect(said, stdout).not.toBeNull()
    expect(await service.event('ready')).toMatchObject({ generation: 2, pid: Number(said?.[1]) })
    await service.end(Number(said?.[1]))
  })
})

describe('when the old generation dies first', () => {
  it('the new one goes on and serves at ready()', async () => {
    const { service, pid, ask } = await serving('ready-when-told.mjs')
    const asked = service.cli('restart', ['--json'])
    const second = await listening(service, 2)
    service.signal('SIGKILL', pid)
    expect((await asked).code).toBe(5)
    writeFileSync(join(service.directory, 'go'), '')
    expect(await service.event('ready')).toMatchObject({ generation: 2, pid: second.pid })
    expect(await ask()).toEqual({ pid: second.pid, generation: 2 })
    const third = await service.restart()
    expect(third.generation).toBe(3)
    await service.end(third.pid)
  })
})
