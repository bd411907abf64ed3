/** What a service says to its service manager goes up through `shellflip run`, as if run were the service. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { get } from './support/http'
import { ListeningManager } from './support/manager'
import { descriptors, gone, until } from './support/processes'
import { shellflip } from './support/run'
import { type Service, type StartOptions, start } from './support/spawn'
import { speaking } from './support/speaking'

interface Told {
  service: Service
  manager: ListeningManager
  web: { socketPath: string }
}

/** A service under run under a service manager; resolves when that was told that it is ready. */
async function told(options: Record<string, unknown> = {}, more: StartOptions = {}): Promise<Told> {
  const manager = await ListeningManager.start()
  const path = join(temporaryDirectory(), 'web.sock')
  const program = JSON.stringify({ listen: { web: path, other: 0 }, options })
  const service = start('under-systemd.mjs', {
    file: 'sh',
    execArgv: ['-c', 'WATCHDOG_PID=$$ exec "$@"', 'sh', shellflip, 'run', '--', process.execPath],
    args: [program],
    ...more,
    env: { NOTIFY_SOCKET: manager.path, ...more.env },
  })
  await manager.hears(/^READY=1/m)
  return { service, manager, web: { socketPath: path } }
}

it('READY and STATUS of every generation, from run, and nothing of who is who', async () => {
  const { service, manager } = await told()
  await service.restart()
  await manager.hears(/^READY=1\nSTATUS=generation 2: ready/m)
  service.signal('SIGTERM')
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  const texts = manager.heard().map(({ text }) => text)
  expect(texts[0]).toMatch(/^STATUS=generation 1: starting, 0 connections\nEXTEND_TIMEOUT_USEC=60000000$/)
  expect(texts).toContain('STATUS=generation 1: restarting, 0 connections')
  expect(texts.join('\n')).not.toMatch(/MAINPID|BARRIER|X_SHELLFLIP/)
  expect(new Set(manager.heard().map(({ pid }) => pid))).toEqual(new Set([service.pid]))
})

it('STOPPING and how long it may take, once run was told to end; not of a generation that drains, or that alone was told', async () => {
  const { service, manager, web } = await told()
  const slow = get(web, '/wait/300')
  await get(web, '/echo/x')
  const second = await service.restart()
  await slow
  service.signal('SIGTERM', second.pid)
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  expect(
    manager
      .heard()
      .map(({ text }) => text)
      .join('\n'),
  ).not.toContain('STOPPING')

  const other = await told()
  await other.service.restart()
  const asked = get(other.web, '/wait/300')
  await get(other.web, '/echo/x')
  other.service.signal('SIGTERM')
  await other.manager.hears(/^STOPPING=1$/m)
  const draining = await other.manager.hears(/^STATUS=generation 2: draining/m)
  // shutdownTimeoutMs, and 3 s for what comes after it.
  expect(draining.text).toMatch(/^EXTEND_TIMEOUT_USEC=11000000$/m)
  expect((await asked).status).toBe(200)
  expect(await other.service.firstExit).toEqual({ code: 0, signal: null })
})

it('FDSTORE with the listener itself, FDSTOREREMOVE when it is closed, and run keeps neither', async () => {
  const { service, manager, web } = await told({ fdStore: true })
  const stored = [await manager.hears(/^FDSTORE=1\nFDNAME=web/m), await manager.hears(/^FDSTORE=1\nFDNAME=other/m)]
  const generations = service.processes().filter(({ command }) => command.includes('under-systemd.mjs'))
  const serving = generations.find(({ pid }) => pid !== service.pid)
  const open = (pid: number) => [...descriptors(pid).values()]
  for (const { inodes } of stored) {
    expect(inodes).toHaveLength(1)
    expect(open(serving?.pid ?? 0)).toContain(`socket:[${inodes[0]}]`)
    // Closed once it is sent, which may be a moment after it was heard.
    await until(() => !open(service.pid).includes(`socket:[${inodes[0]}]`), 'run keeps the descriptor')
  }
  const { pid } = await service.restart()
  // Stored again by the next generation: the same sockets.
  const again = [await manager.hears(/^FDSTORE=1\nFDNAME=web/m), await manager.hears(/^FDSTORE=1\nFDNAME=other/m)]
  expect(again.map(({ inodes }) => inodes)).toEqual(stored.map(({ inodes }) => inodes))
  await get(web, '/close')
  expect((await manager.hears(/^FDSTOREREMOVE=1/m)).text).toMatch(/^FDNAME=web$/m)
  service.signal('SIGTERM', pid)
  await service.firstExit
})

describe('the watchdog', () => {
  it('is pinged by whoever is main', async () => {
    const { service, manager } = await told({}, { env: { WATCHDOG_USEC: '100000' } })
    await manager.hears(/^WATCHDOG=1$/)
    const first = service.processes().find(({ parent }) => parent === service.pid)
    await service.restart()
    await gone(first?.pid ?? 0)
    const before = manager.heard().length
    while (
      manager
        .heard()
        .slice(before)
        .every(({ text }) => text !== 'WATCHDOG=1')
    )
      await manager.hears(/^WATCHDOG=1$/)
    await service.end(service.pid)
  })

  it('is not, if it wants to hear of another process', async () => {
    const { service, manager } = await told(
      {},
      {
        file: shellflip,
        execArgv: ['run', '--', process.execPath],
        env: { WATCHDOG_USEC: '1000', WATCHDOG_PID: String(process.pid) },
      },
    )
    await service.restart()
    await service.end(service.pid)
    expect(manager.heard().filter(({ text }) => text.includes('WATCHDOG'))).toEqual([])
  })
})

it('RELOADING, then READY, of a unit of Type=notify-reload, whose signal run sends on', async () => {
  const { service, manager } = await told({}, { env: { SHELLFLIP_NOTIFY_RELOAD: '1' } })
  service.signal('SIGUSR2')
  expect((await manager.hears(/^RELOADING=1/)).text).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+$/)
  await manager.hears(/^READY=1\nSTATUS=generation 2: ready[\s\S]*\nERRNO=0$/)
  // Its own words: it is adopted.
  await manager.hears(/^STATUS=generation 2: ready, 0 connections$/)
  await service.end(service.pid)
})

it('a barrier is answered by run, once all before it has gone up; of descriptors only those for the store', async () => {
  const manager = await ListeningManager.start()
  const service = speaking(
    `
send('STATUS=one\\nREADY=1', 2)
send('FDSTORE=1\\nFDNAME=pair', 2)
send('MAINPIDFD=1\\nMAINPIDFDID=7\\nNOTIFYACCESS=all', 2)
send('WATCHDOG=trigger\\nEXTEND_TIMEOUT_USEC=5\\nERRNO=2\\nX_OTHER=1\\nMAINPID=' + str(os.getpid()))
barrier()
say('through')
signal.pause()`,
    { env: { NOTIFY_SOCKET: manager.path } },
  )
  await service.line(/through/)
  await manager.hears(/X_OTHER/)
  expect(manager.heard().map(({ text, inodes }) => [text, inodes.length])).toEqual([
    ['STATUS=one\nREADY=1', 0],
    ['FDSTORE=1\nFDNAME=pair', 2],
    ['WATCHDOG=trigger\nEXTEND_TIMEOUT_USEC=5\nERRNO=2\nX_OTHER=1', 0],
  ])
  service.signal('SIGTERM')
  await service.firstExit
})
