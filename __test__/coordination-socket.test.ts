/** The asking side of the coordination socket: RestartCoordinationSocket, requestRestart, requestRestartSync. */
import { once } from 'node:events'
import { join } from 'node:path'
import { RestartConfig, RestartCoordinationSocket } from '@shellflip/node'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { node, root } from './support/run'
import { silentService } from './support/silent'
import { start } from './support/spawn'

const nowhere = () => join(temporaryDirectory(), 'none.sock')
const configFor = (coordinationSocketPath: string) => new RestartConfig({ enabled: true, coordinationSocketPath })

async function serving(program = 'serves.mjs', env: NodeJS.ProcessEnv = {}) {
  const service = start(program, { env })
  await service.event('ready')
  return service
}

function thrownBy(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}

describe('a restart', () => {
  it('asked for by a connection resolves with the new pid', async () => {
    const service = await serving()
    const socket = await RestartCoordinationSocket.connect(service.socket)
    const pid = await socket.sendRestartCommand()
    expect(await service.event('ready')).toMatchObject({ pid, generation: 2 })
    const code = 'ERR_SHELLFLIP_INVALID_ARG'
    await expect(socket.sendRestartCommand()).rejects.toMatchObject({
      code,
      message: expect.stringContaining('carries one'),
    })
    socket.close()
    socket.close()
    await expect(socket.sendRestartCommand()).rejects.toMatchObject({
      code,
      message: expect.stringContaining('was closed'),
    })
    await service.end(pid)
  })

  it('asked for by a config, waiting or blocking, does too', async () => {
    const service = await serving()
    const config = configFor(service.socket)
    const second = await config.requestRestart()
    expect(await service.event('ready')).toMatchObject({ pid: second, generation: 2 })
    const third = config.requestRestartSync()
    expect(await service.event('ready')).toMatchObject({ pid: third, generation: 3 })
    await service.end(third)
  })

  it.each(['waiting', 'blocking'])('that fails says why, with its code: %s', async (how) => {
    const service = await serving('exits-before-ready.mjs')
    const config = configFor(service.socket)
    const error =
      how === 'waiting'
        ? await config.requestRestart().catch((error) => error)
        : thrownBy(() => config.requestRestartSync())
    expect(error).toMatchObject({ name: 'ShellflipError', code: 'ERR_SHELLFLIP_GENERATION_EXITED' })
    expect(error.message).toMatch(/exited with code/)
    await service.end()
  })

  it('beside another is refused at once', async () => {
    const service = await serving('never-ready.mjs')
    const config = configFor(service.socket)
    const first = config.requestRestart().catch((error) => error)
    await service.event('listening')
    await service.event('listening')
    await expect(config.requestRestart()).rejects.toMatchObject({ code: 'ERR_SHELLFLIP_RESTART_IN_PROGRESS' })
    expect(thrownBy(() => config.requestRestartSync())).toMatchObject({ code: 'ERR_SHELLFLIP_RESTART_IN_PROGRESS' })
    service.signal('SIGTERM')
    expect(await first).toMatchObject({ code: 'ERR_SHELLFLIP_DRAINING' })
    await service.clean()
  })
})

describe('where no answer comes', () => {
  it('NO_SERVICE: nobody is there', async () => {
    const path = nowhere()
    const said = { name: 'ShellflipError', code: 'ERR_SHELLFLIP_NO_SERVICE', message: expect.stringContaining(path) }
    await expect(RestartCoordinationSocket.connect(path)).rejects.toMatchObject(said)
    await expect(configFor(path).requestRestart()).rejects.toMatchObject(said)
    expect(thrownBy(() => configFor(path).requestRestartSync())).toMatchObject(said)
  })

  it('ETIMEDOUT: the time is over, and the outcome unknown', async () => {
    const path = nowhere()
    await silentService(path)
    const said = { code: 'ETIMEDOUT', syscall: 'read', message: expect.stringContaining('not cancelled') }
    await expect(configFor(path).requestRestart({ timeoutMs: 20 })).rejects.toMatchObject(said)
    const stopped = await serving()
    stopped.signal('SIGSTOP')
    expect(thrownBy(() => configFor(stopped.socket).requestRestartSync({ timeoutMs: 20 }))).toMatchObject(said)
    await stopped.kill()
  })

  it('ECONNRESET: the service closed the connection', async () => {
    const path = nowhere()
    const server = await silentService(path)
    server.on('connection', (connection) => connection.destroy())
    await expect(configFor(path).requestRestart()).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  it('ECONNABORTED: close() hangs up, and nothing waits any longer', async () => {
    const path = nowhere()
    const server = await silentService(path)
    const socket = await RestartCoordinationSocket.connect(path)
    const outcome = socket.sendRestartCommand({ timeoutMs: 0 })
    await once(server, 'question')
    socket.close()
    await expect(outcome).rejects.toMatchObject({
      code: 'ECONNABORTED',
      message: expect.stringContaining('not cancelled'),
    })
  })

  it('a connection that nobody holds on to still brings its answer', async () => {
    const path = nowhere()
    await silentService(path)
    const program = `
      import { RestartCoordinationSocket } from '${root}/dist/index.mjs'
      const outcome = (await RestartCoordinationSocket.connect('${path}')).sendRestartCommand({ timeoutMs: 200 })
      const collect = setInterval(gc, 10)
      await outcome.catch(({ code }) => console.log(code))
      clearInterval(collect)`
    const { stdout, stderr } = await node(['--expose-gc', '--input-type=module', '-e', program])
    expect(stderr).toBe('')
    expect(stdout).toBe('ETIMEDOUT\n')
  })
})

describe('INVALID_ARG', () => {
  const code = 'ERR_SHELLFLIP_INVALID_ARG'

  it('a config without a coordination socket has nobody to ask', async () => {
    const said = { code, message: expect.stringContaining('enabled: true') }
    await expect(new RestartConfig().requestRestart()).rejects.toMatchObject(said)
    expect(thrownBy(() => new RestartConfig().requestRestartSync())).toMatchObject(said)
  })

  it.each([[''], ['a\0b'], [undefined], [3]])('connect(%j)', async (path) => {
    await expect(RestartCoordinationSocket.connect(path as string)).rejects.toMatchObject({ code })
  })

  it.each([-1, 1.5, Number.NaN, 2 ** 31, '5'])('timeoutMs: %j', async (timeoutMs) => {
    const options = { timeoutMs: timeoutMs as number }
    await expect(configFor(nowhere()).requestRestart(options)).rejects.toMatchObject({ code })
    expect(thrownBy(() => configFor(nowhere()).requestRestartSync(options))).toMatchObject({ code })
  })

  it('a path longer than a socket can have', async () => {
    await expect(RestartCoordinationSocket.connect(`/${'x'.repeat(200)}`)).rejects.toMatchObject({ code })
  })

  it('a process that would block on itself', async () => {
    const service = start('asks-itself.mjs')
    expect(await service.event('asked')).toMatchObject({ code, message: expect.stringContaining('without blocking') })
    const { pid } = await service.event('restarted')
    expect(pid).toBe(service.pid)
    await service.kill()
  })
})
