/** A service manager that is not there, or that lies: the service says so once, and serves and restarts all the same. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { get } from './support/http'
import { start } from './support/spawn'

async function servesAndRestarts(service: ReturnType<typeof start>): Promise<void> {
  const { port } = await service.event('ready')
  expect(JSON.parse((await get({ port: Number(port) })).body)).toMatchObject({ generation: 1 })
  const { pid } = await service.restart()
  const { port: again } = await service.event('ready')
  expect(JSON.parse((await get({ port: Number(again) })).body)).toEqual({ pid, generation: 2 })
  await service.firstExit
  await service.end(pid)
}

it.each([
  ['a path where nothing is', '/nowhere/notify', 'No such file or directory'],
  ['an abstract name that nobody has', '@shellflip-nobody', 'Connection refused'],
  ['something else', 'vsock:2:1234', 'only an absolute path and @name are supported'],
])('NOTIFY_SOCKET is %s', async (_, NOTIFY_SOCKET, why) => {
  const service = start('serves.mjs', { env: { NOTIFY_SOCKET } })
  await servesAndRestarts(service)
  const said = service.output.text()
  expect(said).toMatch(/the service manager could not be told that the service is ready: /)
  expect(said).toMatch(/the service manager could not be told of the new main process: /)
  expect(said).toContain(why)
})

it.each([
  // What is open there by then is Node's own.
  ['for what is no socket', '1', /LISTEN_FDS passes descriptor 3 \('unknown'\): is no socket/],
  ['more than there are', '9999', /LISTEN_FDS says 9999, but descriptor \d+ is not open/],
  ['no number', 'many', /LISTEN_FDS is not a number of descriptors: 'many'/],
])('LISTEN_FDS is %s', async (_, count, why) => {
  // The shell becomes the service: the pid is right, and so the lie is for us.
  const execArgv = ['-c', `LISTEN_PID=$$ LISTEN_FDS=${count} exec "$@"`, 'sh', process.execPath]
  const service = start('serves.mjs', { file: 'sh', execArgv, env: { SHELLFLIP_SUPERVISED: '' } })
  await servesAndRestarts(service)
  expect(service.output.text()).toMatch(why)
})

it('the pid file cannot be written', async () => {
  const pidFile = join(temporaryDirectory(), 'pid')
  mkdirSync(pidFile)
  const service = start('serves-with-options.mjs', { args: [JSON.stringify({ pidFile })] })
  await servesAndRestarts(service)
  expect(service.output.text()).toMatch(/the pid file .*pid cannot be written: .*; the service goes on without/)
})

it('fdStore without a service manager is silent, and with one that is gone says what is not stored', async () => {
  const args = [JSON.stringify({ fdStore: true })]
  const alone = start('serves-with-options.mjs', { args })
  await servesAndRestarts(alone)
  expect(alone.output.text()).not.toContain('fdStore')
  const lonely = start('serves-with-options.mjs', { args, env: { NOTIFY_SOCKET: '/nowhere/notify' } })
  await servesAndRestarts(lonely)
  expect(lonely.output.text()).toMatch(
    /fdStore: the listener 'web' is not in the service manager's store: No such file/,
  )
})
