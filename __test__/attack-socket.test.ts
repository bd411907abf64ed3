/** The coordination socket under attack: real processes, real clocks. A legitimate restart finishes all the same. */
import { chmodSync, writeFileSync } from 'node:fs'
import type net from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ask, connect, frame, RESTART, rest, STATUS } from './support/coordination.mjs'
import { atRest } from './support/footprint'
import { isRoot } from './support/privileges'
import { descriptors, until } from './support/processes'
import { node, root } from './support/run'
import { fuzzSocket } from './support/socket-fuzzer.mjs'
import { type Service, start } from './support/spawn'

async function serving(program = 'serves.mjs') {
  const service = start(program)
  const { pid } = await service.event('ready')
  return { service, pid: Number(pid) }
}

/** Open until the test ends. */
async function hold(path: string): Promise<net.Socket> {
  const socket = await connect(path)
  onTestFinished(() => void socket.destroy())
  return socket
}

/** How many descriptors that generation holds, which answers by now: no client is connected, no old one left. */
async function held(service: Service, pid: number): Promise<number> {
  expect((await ask(service.socket, STATUS)).Response.Status).toMatchObject({ pid, phase: 'ready' })
  await atRest(pid)
  await until(
    () => ![...descriptors(pid).values()].includes('anon_inode:[pidfd]'),
    () => `an old generation is watched still: ${JSON.stringify([...descriptors(pid)])}`,
  )
  return descriptors(pid).size
}

/** After one restart: what the first generation holds may be of whoever started it. */
async function settled(service: Service): Promise<{ pid: number; before: number }> {
  const { pid } = await service.restart()
  await service.firstExit
  return { pid, before: await held(service, pid) }
}

async function nothingIsLeft(pid: number, before: number) {
  await until(
    () => descriptors(pid).size <= before,
    () => `more than ${before} descriptors: ${JSON.stringify([...descriptors(pid)])}`,
  )
}

describe('a legitimate restart finishes', () => {
  it('with 200 silent clients and a fuzzer on the socket, and the descriptors are equal afterwards', async () => {
    const { service } = await serving()
    const { pid: settledPid, before } = await settled(service)
    let pid = settledPid
    const fuzzer = fuzzSocket(service.socket, { seed: 7 })
    const silent: net.Socket[] = []
    for (let round = 0; round < 3; round++) {
      while (silent.length < 200 * (round + 1)) silent.push(await hold(service.socket))
      const restarted = await service.restart(['--timeout', '25'])
      await service.gone(pid)
      pid = restarted.pid
    }
    expect(await fuzzer.stop()).toBeGreaterThan(100)
    for (const socket of silent) socket.destroy()
    await nothingIsLeft(pid, before)
    expect((await service.restart()).generation).toBe(6)
    await service.gone(pid)
    await service.end()
  })

  it('while thousands ask for a restart and for the status: one at a time, all are answered', async () => {
    const { service, pid } = await serving('ready-when-told.mjs')
    await service.event('listening')
    const before = await held(service, pid)
    const restarting = connect(service.socket).then((socket) => {
      socket.write(frame(RESTART))
      return rest(socket)
    })
    await service.event('listening')
    const counts = { refused: 0, status: 0 }
    for (let batch = 0; batch < 50; batch++) {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => ask(service.socket, index % 2 === 0 ? RESTART : STATUS)),
      )
      for (const answer of answers) {
        const { RestartFailed, Status } = answer.Response
        if (RestartFailed !== undefined) {
          expect(RestartFailed).toMatch(/^ERR_SHELLFLIP_RESTART_IN_PROGRESS: /)
          counts.refused += 1
        } else {
          expect(Status.generation).toBe(1)
          counts.status += 1
        }
      }
    }
    expect(counts).toEqual({ refused: 1000, status: 1000 })
    writeFileSync(join(service.directory, 'go'), '')
    const answer = JSON.parse((await restarting).subarray(4).toString())
    expect(Object.keys(answer.Response)).toEqual(['RestartComplete'])
    await service.firstExit
    await nothingIsLeft(answer.Response.RestartComplete, before)
    await service.end()
  })
})

describe('one client harms no other', () => {
  it.each([
    ['a frame over 64 KiB', frame('', 65_537)],
    ['a frame of 4 GiB', frame('', 0xffffffff)],
    ['a frame of 4 GiB that comes', Buffer.concat([frame('', 0xffffffff), Buffer.alloc(1 << 20, 'x')])],
    ['an empty frame', frame('')],
    ['garbage', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['another question', frame('{"Request":"Reboot"}')],
    ['an answer', frame('{"Response":{"RestartComplete":1}}')],
    ['JSON of a thousand levels', frame('['.repeat(60_000))],
    ['what is not UTF-8', Buffer.concat([frame('', 4), Buffer.from([0xff, 0xfe, 0xc0, 0x80])])],
  ])('%s is closed without an answer', async (_, bytes) => {
    const { service, pid } = await serving()
    const socket = await hold(service.socket)
    socket.write(bytes)
    expect(await rest(socket)).toHaveLength(0)
    expect((await ask(service.socket, STATUS)).Response.Status).toMatchObject({ pid })
    await service.end(pid)
  })

  it('half a frame and silence are closed after five seconds, a question byte by byte is answered meanwhile', async () => {
    const { service, pid } = await serving()
    const half = await hold(service.socket)
    half.write(frame(STATUS).subarray(0, 10))
    const silent = await hold(service.socket)
    const slow = await hold(service.socket)
    for (const byte of frame(STATUS)) {
      slow.write(Buffer.from([byte]))
      await new Promise(setImmediate)
    }
    expect((await rest(slow)).toString()).toContain('"Status"')
    expect(await rest(half)).toHaveLength(0)
    expect(await rest(silent)).toHaveLength(0)
    await service.end(pid)
  })

  it('beyond 64 clients the longest silent one makes room, and one that waits for its answer never does', async () => {
    const { service, pid } = await serving('ready-when-told.mjs')
    const waiting = await hold(service.socket)
    waiting.write(frame(RESTART))
    await service.event('listening')
    await service.event('listening')
    const first = await hold(service.socket)
    const cut = rest(first)
    const before = descriptors(pid).size
    for (let client = 0; client < 300; client++) {
      await hold(service.socket)
      // 64 and one at the door, of which two may be counted already.
      expect(descriptors(pid).size).toBeLessThanOrEqual(before + 65)
    }
    expect(await cut).toHaveLength(0)
    writeFileSync(join(service.directory, 'go'), '')
    expect((await rest(waiting)).toString()).toContain('RestartComplete')
    await service.gone(pid)
    await service.end()
  })

  it('one that never reads its answer does not hold up the end of the old generation', async () => {
    const { service, pid } = await serving()
    for (let client = 0; client < 20; client++) {
      const deaf = await hold(service.socket)
      deaf.pause()
      deaf.write(frame(STATUS))
    }
    const restarted = await service.restart()
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.end(restarted.pid)
    expect(restarted.pid).not.toBe(pid)
  })

  it('another user is refused by the kernel’s word, root is not', async ({ skip }) => {
    skip(!isRoot, 'needs root')
    const { service, pid } = await serving()
    for (const path of [service.directory, service.socket]) chmodSync(path, path === service.socket ? 0o666 : 0o755)
    const as = (uid: number) => node([`${root}/__test__/fixtures/socket-rival.mjs`, service.socket, String(uid)])
    expect((await as(0)).code).toBe(0)
    expect((await as(65_534)).code).toBe(98)
    expect((await service.restart()).generation).toBe(2)
    await service.gone(pid)
    await service.end()
  })
})
