/** Under Node's permission model, which hides the program, /proc and the service manager's socket from JavaScript. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { silentManager } from './support/manager'
import { root } from './support/run'
import { type Service, type StartOptions, start } from './support/spawn'

const has = (flag: string) => process.allowedNodeEnvironmentFlags.has(flag)

/** Starts a program that may read its own folder and this repository, and nothing else. */
function confined(program: string, options: StartOptions = {}): Service {
  const directory = temporaryDirectory()
  const flags = [
    has('--permission') ? '--permission' : '--experimental-permission',
    '--allow-addons',
    `--allow-fs-read=${join(root, '*')}`,
    `--allow-fs-read=${join(directory, '*')}`,
    ...(has('--allow-net') ? ['--allow-net'] : []),
  ]
  return start(program, { directory, ...options, execArgv: [...(options.execArgv ?? []), ...flags] })
}

it('a service that may not look at its own program restarts', async () => {
  const service = confined('serves.mjs')
  await service.event('ready')
  const { pid } = await service.restart()
  expect((await service.restart()).generation).toBe(3)
  await service.gone(pid)
  await service.end()
})

it('a program that may not be looked for is found by the launcher, or said to be missing', async () => {
  const found = confined('starts-a-program.mjs', { env: { PROGRAM: 'env' } })
  await found.event('ready')
  await found.restart()
  await found.end()

  const missing = confined('starts-a-program.mjs', { env: { PROGRAM: 'no-such-program' } })
  await missing.event('ready')
  const { code, stderr } = await missing.cli('restart')
  expect(code).toBe(1)
  expect(stderr).toMatch(/ the program no-such-program does not exist \(ENOENT/)
  await missing.end()
})

it('a service manager whose socket may not be looked at is believed', async () => {
  // As systemd starts it: the first process knows its own number.
  const script = 'SYSTEMD_EXEC_PID=$$ exec "$@"'
  const service = confined('supervised-as-detected.mjs', {
    file: 'sh',
    execArgv: ['-c', script, 'sh', process.execPath],
    env: { NOTIFY_SOCKET: await silentManager() },
  })
  expect(await service.event('ready')).toMatchObject({ supported: true })
  await service.end(service.pid)
})
