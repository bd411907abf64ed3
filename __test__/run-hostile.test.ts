/** What `shellflip run` is told that is wrong: by whoever starts it, by other processes, and by the service itself. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { get } from './support/http'
import { alive, descriptors, gone, look, until } from './support/processes'
import { run, shellflip } from './support/run'
import { start } from './support/spawn'
import { PYTHON, speaking } from './support/speaking'

describe('the command line', () => {
  it.each([
    [[], 2, /required/],
    [['--restart', 'sometimes', '--', 'true'], 2, /invalid value 'sometimes'.*never, on-failure, always/s],
    [['--kill-timeout', '-1', '--', 'true'], 2, /number of seconds/],
    [['--', ''], 127, /cannot run/],
  ])('%j: exit status %i', async (args, code, text) => {
    const outcome = await run(shellflip, ['run', ...args])
    expect(outcome).toMatchObject({ code, stdout: '' })
    expect(outcome.stderr).toMatch(text)
  })

  it('a pid file that cannot be written: nothing is started', async () => {
    const outcome = await run(shellflip, ['run', '--pid-file', '/nowhere/run.pid', '--', 'echo', 'started'])
    expect(outcome).toMatchObject({ code: 1, stdout: '' })
    expect(outcome.stderr).toMatch(/the pid file \/nowhere\/run\.pid: .*ENOENT|No such file/)
  })

  it('a pid file that somebody else has written meanwhile is left', async () => {
    const service = start(null, {
      file: shellflip,
      execArgv: ['run', '--pid-file', 'run.pid', '--', 'sh', '-c', 'echo 1 > run.pid'],
    })
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    expect(existsSync(join(service.directory, 'run.pid'))).toBe(true)
  })

  it('a command that goes into the background: that counts as its end, and is said', async () => {
    const service = start(null, { file: shellflip, execArgv: ['run', '--', 'sh', '-c', 'sleep 1000 & exit 0'] })
    await service.line(/the service has ended, but what it started goes on without us: it must stay in the foreground/)
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
  })
})

it('a reader of its stderr that has stopped reading keeps it from nothing', async () => {
  const command = 'echo up; test -e again && exec sleep 1000; touch again; exit 3'
  const service = start(null, {
    file: 'python3',
    execArgv: [
      '-c',
      `import os, sys
held, full = os.pipe()
os.set_blocking(full, False)
try:
    while True: os.write(full, b'x' * 4096)
except BlockingIOError: os.set_blocking(full, True)
os.set_inheritable(held, True)
os.dup2(full, 2)
os.execv(sys.argv[1], sys.argv[1:])`,
      ...[shellflip, 'run', '--restart', 'always', '--', 'sh', '-c', command],
    ],
  })
  await service.line(/up/)
  // Between the two it had something to say.
  await service.line(/up/)
  service.signal('SIGTERM')
  expect(await service.firstExit).toEqual({ code: 143, signal: null })
})

describe('the service manager above', () => {
  it.each(['/nowhere/notify', '@nowhere', 'relative', 'vsock:2:1'])(
    '%s: said, and the service goes on',
    async (name) => {
      const service = start('serves.mjs', {
        file: shellflip,
        execArgv: ['run', '--', process.execPath],
        env: { NOTIFY_SOCKET: name },
      })
      const { port } = await service.event('ready')
      await service.line(/the service manager could not be told/)
      const { pid } = await service.restart()
      expect(JSON.parse((await get({ port: Number(port) })).body)).toMatchObject({ pid })
      await service.end(service.pid)
    },
  )
})

describe('other processes', () => {
  it('are not heard: nonsense, the longest message, 200 descriptors, lies', { timeout: 60_000 }, async () => {
    const service = start('serves.mjs', { file: shellflip, execArgv: ['run', '--', process.execPath] })
    const { pid: first, port } = await service.event('ready')
    const second = await service.restart()
    await until(() => look(first) === undefined, 'it is not reaped')
    const before = [...descriptors(service.pid).values()]
    const name = notifySocketOf(second.pid)
    const lies = `from datagrams import send
for i in range(40):
    send(bytes(range(256)))
    send(b'')
    send(b'x' * 150_000, 200)
    send('READY=1\\nFDSTORE=1\\nFDNAME=x', 200)
    send('BARRIER=1', 2)
    send('MAINPID=1\\nX_SHELLFLIP_NEXT=1\\nSTOPPING=1')
    send('MAINPID=${process.pid}')`
    const outcome = await run('python3', ['-c', lies], { env: { ...PYTHON, NOTIFY_SOCKET: name } })
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    // What it hears of this comes after all that.
    const { pid } = await service.restart()
    await until(() => look(pid)?.parent === service.pid, 'it is not a child of run')
    await until(
      () => beyond(before, service.pid).length === 0,
      () => `open are ${beyond(before, service.pid)}\nbesides ${before}`,
    )
    expect(JSON.parse((await get({ port: Number(port) })).body)).toEqual({ pid, generation: 3 })
    await service.end(service.pid)
  })

  it('that never stop talking do not keep it from ending', async () => {
    const service = start('serves.mjs', { file: shellflip, execArgv: ['run', '--', process.execPath] })
    const { pid } = await service.event('ready')
    const flood = start(null, {
      file: 'python3',
      execArgv: [
        '-c',
        "from datagrams import connected, say\ns = connected()\ns.send(b'x')\nsay('flows')\nwhile True: s.send(b'x')",
      ],
      env: { ...PYTHON, NOTIFY_SOCKET: notifySocketOf(pid) },
    })
    await flood.line(/flows/)
    service.signal('SIGTERM')
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
  })
})

describe('the service itself names as its main process', () => {
  it('one that is dead, and one that is not its own: ignored, and it is still the service', async () => {
    const stranger = start(null, { file: 'sleep', execArgv: ['1000'] })
    const service = speaking(`
dead = subprocess.Popen(['true']); dead.wait()
send(f'MAINPID={dead.pid}')
send('MAINPID=${stranger.pid}')
send('MAINPID=${process.pid}')
send('MAINPID=1')
say('said')
signal.pause()`)
    await service.line(/said/)
    for (let i = 0; i < 4; i++) await service.line(/MAINPID=\d+ is no process of this service: ignored/)
    service.signal('SIGTERM')
    expect(await service.firstExit).toEqual({ code: 143, signal: null })
    expect(alive(stranger.pid)).toBe(true)
  })

  it('a grandchild that somebody else reaps, or nobody: its end is seen', async () => {
    const service = speaking(
      `
child = subprocess.Popen(['sleep', '1000'])
send(f'MAINPID={child.pid}')
barrier()
say(f'main {child.pid}')
while True: signal.pause()`,
      { options: ['--restart', 'on-failure', '--kill-timeout', '1'] },
    )
    const [, main] = await service.line(/main (\d+)/)
    service.signal('SIGTERM', Number(main))
    await service.line(/the service exited with code 1; it is started again in 100 ms/)
    await service.line(/main (\d+)/)
    service.signal('SIGTERM')
    service.signal('SIGTERM')
    await service.firstExit
    await until(() => service.processes().every(({ command }) => command.startsWith('sleep')), 'a generation is left')
  })

  it('with descriptors and nonsense: none stays open', async () => {
    const service = speaking(`
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
for i in range(20):
    send(b'\\xff\\x00=\\n' * 30_000, 200)
    send('FDSTORE=1', 200)
    send('BARRIER=1', 2)
say('said')
signal.sigwait([signal.SIGUSR1])
send('MAINPID=1')
signal.pause()`)
    await service.line(/said/)
    service.signal('SIGUSR1')
    // The last thing that it heard.
    await service.line(/MAINPID=1 is no process of this service/)
    expect(descriptors(service.pid).size).toBeLessThan(10)
    service.signal('SIGTERM')
    await gone(service.pid)
  })
})

/** What that process holds open besides. What it held only for the generation that was ending may be gone by now. */
function beyond(before: string[], pid: number): string[] {
  const known = [...before]
  return [...descriptors(pid).values()].filter((target) => {
    const index = known.indexOf(target)
    if (index >= 0) known.splice(index, 1)
    return index < 0
  })
}

/** Where that generation speaks. */
function notifySocketOf(pid: number): string {
  const variables = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
  return variables.find((each) => each.startsWith('NOTIFY_SOCKET='))?.replace('NOTIFY_SOCKET=', '') ?? ''
}
