/** `shellflip run`: one process in front of all generations, with real ones behind it. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { get } from './support/http'
import { look, until, zombies } from './support/processes'
import { node, root, run, shellflip } from './support/run'
import { type Service, type StartOptions, start } from './support/spawn'

/** A fixture under `shellflip run`: `service.pid` is the supervisor's. */
function supervised(program: string, options: string[] = [], more: StartOptions = {}): Service {
  return start(program, { ...more, file: shellflip, execArgv: ['run', ...options, '--', process.execPath] })
}

/** Waits for the first generation; gives its pid and port. */
async function ready(service: Service): Promise<{ pid: number; port: number }> {
  const { pid, port } = await service.event('ready')
  return { pid, port: Number(port) }
}

const serves = (port: number): Promise<{ pid: number; generation: number }> =>
  get({ port }).then(({ body }) => JSON.parse(body))

describe('generations', () => {
  it('it stays while they change, reaps each, sends signals to the current one, and ends as the last one ends', async () => {
    const service = supervised('serves.mjs')
    const first = await ready(service)
    expect(look(first.pid)?.parent).toBe(service.pid)
    const second = await service.restart()
    await service.gone(first.pid)
    expect(look(second.pid)?.parent).toBe(service.pid)

    service.signal('SIGUSR2')
    const third = await service.event('ready').then(() => service.event('ready'))
    expect(third).toMatchObject({ generation: 3 })
    await service.gone(second.pid)
    await until(() => zombies(service.pid).length === 0, 'a zombie stays')
    expect(await serves(first.port)).toEqual({ pid: third.pid, generation: 3 })

    service.signal('SIGTERM')
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.clean()
  })

  it('an old one that still drains is waited for, and the exit status is the newest one’s', async () => {
    const service = supervised('answers-when-told.mjs')
    const first = await ready(service)
    const slow = get({ port: first.port })
    await service.event('asked')
    const second = await service.restart()
    service.signal('SIGKILL', second.pid)
    await service.gone(second.pid)
    expect(look(service.pid)).toBeDefined()
    writeFileSync(join(service.directory, 'answer'), '')
    expect(JSON.parse((await slow).body)).toEqual({ pid: first.pid, generation: 1 })
    expect(await service.firstExit).toEqual({ code: 137, signal: null })
  })

  it('if the old one dies while the new one initialises, the new one goes on', async () => {
    const service = supervised('ready-when-told.mjs')
    const first = await ready(service)
    const restart = service.cli('restart')
    const { pid } = await service.event('listening').then(() => service.event('listening'))
    service.signal('SIGKILL', first.pid)
    expect((await restart).code).toBe(5)
    writeFileSync(join(service.directory, 'go'), '')
    expect(await service.event('ready')).toMatchObject({ pid, generation: 2 })
    expect(await serves(first.port)).toEqual({ pid, generation: 2 })
    await until(() => look(pid)?.parent === service.pid, 'it is not adopted')
    const third = await service.restart()
    service.signal('SIGTERM')
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.gone(third.pid)
  })

  it('a restart is possible under it though something waits for its process', async () => {
    const service = supervised('supervised-as-detected.mjs', [], { env: { pm_id: '0' } })
    expect(await service.event('ready')).toMatchObject({ supported: true })
    await service.end(service.pid)
  })

  it('orphans of the service are reaped, too, and not waited for', async () => {
    const service = supervised('leaves-orphans.mjs')
    await ready(service)
    const { orphans } = (await service.event('orphans')) as unknown as { orphans: number[] }
    expect(orphans).toHaveLength(3)
    for (const pid of orphans) await until(() => look(pid) === undefined, `the orphan ${pid} is still there`)
    await service.end(service.pid)
  })
})

it.each(['SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const)('%s is sent on', async (signal) => {
  const code = `process.on('${signal}', () => process.exit(7)); setInterval(() => {}, 1e6); console.log('up')`
  const service = start(null, { file: shellflip, execArgv: ['run', '--', process.execPath, '-e', code] })
  await service.line(/^up$/)
  service.signal(signal)
  expect(await service.firstExit).toEqual({ code: 7, signal: null })
})

describe('the end', () => {
  it.each([
    ['process.exit(7)', 7],
    ["process.kill(process.pid, 'SIGKILL')", 137],
    ["process.kill(process.pid, 'SIGTERM')", 143],
  ])('%s: exit status %i', async (program, code) => {
    expect(await run(shellflip, ['run', '--', process.execPath, '-e', program])).toMatchObject({ code, signal: null })
  })

  it.each([
    ['no-such-program', 127, /cannot run no-such-program: .*is it in PATH/],
    [root, 126, /cannot run .*: .*it must be an executable file/],
  ])('a command that cannot be run: %s', async (command, code, text) => {
    const outcome = await run(shellflip, ['run', command])
    expect(outcome).toMatchObject({ code, stdout: '' })
    expect(outcome.stderr).toMatch(text)
  })

  it.each(['twice TERM', 'the kill timeout'])('%s kills what does not end', async (how) => {
    const service = supervised('ignores-sigterm.mjs', how === 'twice TERM' ? [] : ['--kill-timeout', '0.2'])
    await ready(service)
    service.signal('SIGTERM')
    await service.event('ignored')
    if (how === 'twice TERM') service.signal('SIGTERM')
    expect(await service.firstExit).toEqual({ code: 137, signal: null })
  })

  it('SIGKILL of the supervisor leaves a service that serves and restarts, and says who is gone', async () => {
    const service = supervised('serves.mjs')
    const first = await ready(service)
    service.signal('SIGKILL')
    await service.firstExit
    expect(await serves(first.port)).toMatchObject({ pid: first.pid })
    const { pid } = await service.restart()
    await service.line(/the service manager could not be told/)
    expect(await serves(first.port)).toMatchObject({ pid })
    await service.end(pid)
  })
})

describe('--restart', () => {
  it('on-failure starts a service again that was killed, under the same supervisor, and not one that was told to end', async () => {
    const service = supervised('serves.mjs', ['--restart', 'on-failure'])
    const first = await ready(service)
    service.signal('SIGKILL', first.pid)
    await service.line(/the service was ended by signal 9; it is started again in 100 ms/)
    const again = await ready(service)
    expect(await serves(again.port)).toEqual({ pid: again.pid, generation: 1 })
    service.signal('SIGTERM')
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.clean()
  })

  it('always starts one again that ended well, with growing pauses', async () => {
    const service = start(null, { file: shellflip, execArgv: ['run', '--restart', 'always', '--', '/bin/true'] })
    await service.line(/exited with code 0; it is started again in 100 ms/)
    await service.line(/exited with code 0; it is started again in 200 ms/)
    service.signal('SIGTERM')
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
  })

  it('never is the default', async () => {
    const service = supervised('serves.mjs')
    service.signal('SIGKILL', (await ready(service)).pid)
    expect(await service.firstExit).toEqual({ code: 137, signal: null })
  })
})

describe('what it gives the service', () => {
  it('--socket is its coordination socket, also for a service that starts elsewhere', async () => {
    const service = start('serves.mjs', {
      file: shellflip,
      execArgv: ['run', '--socket', 'mine.sock', '--', 'env', '--chdir=/', process.execPath],
    })
    await ready(service)
    const socket = join(service.directory, 'mine.sock')
    expect(statSync(socket).isSocket()).toBe(true)
    expect((await run(shellflip, ['restart', '--socket', socket])).code).toBe(0)
    await service.end(service.pid)
  })

  it('--pid-file holds the pid that stays, and is removed', async () => {
    const service = supervised('serves.mjs', ['--pid-file', 'run.pid'])
    await ready(service)
    await service.restart()
    const file = join(service.directory, 'run.pid')
    expect(readFileSync(file, 'utf8')).toBe(`${service.pid}\n`)
    await service.end(service.pid)
    expect(existsSync(file)).toBe(false)
  })

  it.each([
    ['natively', [shellflip]],
    ['by way of npm', [process.execPath, `${root}/dist/cli.js`]],
  ])('sockets that a service manager opened, in every generation: %s', async (_, command) => {
    // What systemd does for a socket unit: a listening socket as descriptor 3, for the process that it starts.
    const activate = `use Socket; $^F = 3;
      socket(S, AF_INET, SOCK_STREAM, 0) or die; bind(S, pack_sockaddr_in(0, INADDR_LOOPBACK)) or die; listen(S, 9) or die;
      fileno(S) == 3 or die fileno(S); $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1; $ENV{LISTEN_FDNAMES} = 'web';
      syswrite(STDOUT, sprintf(qq({"event":"opened","pid":%d,"port":%d}\\n), $$, (sockaddr_in(getsockname(S)))[0]));
      exec @ARGV or die $!`
    const service = start('serves.mjs', {
      file: 'perl',
      execArgv: ['-e', activate, ...command, 'run', process.execPath],
    })
    const opened = await service.event('opened')
    const { port } = await ready(service)
    expect(port).toBe(opened.port)
    const { pid } = await service.restart()
    expect(await serves(port)).toEqual({ pid, generation: 2 })
    expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).not.toMatch(/LISTEN_FDS/)
    await service.end(service.pid)
  })
})

describe('the terminal', () => {
  it('Ctrl-C reaches the current generation once, and the supervisor ends with it', async () => {
    const command = `stty -echo; exec ${shellflip} run -- ${process.execPath} ${root}/__test__/fixtures/counts-sigint.mjs`
    // script(1) is what gives it a terminal of its own.
    const service = start(null, { file: 'script', execArgv: ['-qec', command, '/dev/null'], stdin: 'pipe' })
    await service.event('ready')
    await service.restart()
    const { pid } = await service.event('ready')
    // Of the first one, which has drained.
    expect(await service.event('interrupts')).toMatchObject({ count: 0 })
    service.input('\x03')
    await service.event('interrupted')
    // What run makes of the interrupt it has made by the time it passes this on.
    service.signal('SIGTERM', look(pid)?.parent)
    expect(await service.event('interrupts')).toMatchObject({ count: 1 })
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
  })
})

describe('by way of npm', () => {
  it('the Node process is replaced: it stays the same process, and small', async () => {
    const service = start('serves.mjs', { execArgv: [`${root}/dist/cli.js`, 'run', process.execPath] })
    await ready(service)
    await service.restart()
    expect(look(service.pid)?.command).toMatch(/^\S*\/shellflip run /)
    const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))?.[1]
    expect(Number(resident)).toBeLessThanOrEqual(2048)
    await service.end(service.pid)
  })

  it('--help tells the options and the exit status', async () => {
    const { stdout } = await node([`${root}/dist/cli.js`, 'run', '--help'])
    for (const word of ['--socket', '--restart', '--kill-timeout', '--pid-file', '128 + n'])
      expect(stdout).toContain(word)
  })
})
