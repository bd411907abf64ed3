/** When `shellflip run` ends, and what it kills before: also where a generation is another's child, or another user's. */
import { chmodSync, copyFileSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { alive, gone, look, until } from './support/processes'
import { run, shellflip } from './support/run'
import { start } from './support/spawn'
import { speaking } from './support/speaking'

/** The first program starts two more, `a` and `b`, which do what is said here; it is `a`'s parent, and ends. */
const three = (a: string, parent: string) => `
reading, writing = os.pipe()
b = os.fork()
if b == 0: signal.pause()
a = os.fork()
if a == 0:
    os.read(reading, 1)
    ${a}
send(f'MAINPID={a}')
barrier()
os.write(writing, b'!')
${parent}`

describe('a generation that somebody else reaps', () => {
  it('is not waited for once it has drained: run ends as the last one ends', async () => {
    const service = speaking(
      three(
        `send(f'MAINPID={b}'); barrier(); say(f'main {b} older {os.getpid()}'); os._exit(0)`,
        `os.waitpid(a, 0)\nsay('reaped')`,
      ),
    )
    const [, main, older] = await service.line(/main (\d+) older (\d+)/)
    await service.line(/reaped/)
    expect(look(Number(older))).toBeUndefined()
    await until(() => look(Number(main))?.parent === service.pid, 'it is not adopted')
    service.signal('SIGTERM')
    expect(await service.firstExit).toEqual({ code: 143, signal: null })
  })

  it('nor one that nobody reaps', async () => {
    const service = speaking(
      three(
        `send(f'MAINPID={b}'); barrier(); say(f'main {b} older {os.getpid()}'); os._exit(0)`,
        `signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\nsay('up'); signal.sigwait([signal.SIGUSR1])
os.kill(b, signal.SIGTERM); os.waitpid(b, 0); os.execvp('sleep', ['sleep', '1000'])`,
      ),
    )
    const [, main, older] = await service.line(/main (\d+) older (\d+)/)
    await service.line(/up/)
    await until(() => look(Number(older))?.state === 'Z', 'it is not a zombie')
    // Nothing is left but the first one, which is a generation too.
    service.signal('SIGUSR1', look(Number(main))?.parent)
    await gone(Number(main))
    const first = service.processes().find(({ parent }) => parent === service.pid)
    await until(() => look(first?.pid ?? 0)?.command === 'sleep 1000', 'it does not sleep')
    service.signal('SIGTERM', first?.pid)
    // How its last generation ended was another's to see.
    expect(await service.firstExit).toEqual({ code: 1, signal: null })
  })
})

describe.each(['the kill timeout', 'twice TERM'])('%s', (how) => {
  it.each(['MAINPID', 'X_SHELLFLIP_NEXT'])('kills a generation that is named afterwards, too: %s', async (word) => {
    // A generation that run may not kill: it is root's, and run nobody's.
    const directory = temporaryDirectory()
    chmodSync(directory, 0o755)
    const [python, file] = ['python', 'shellflip'].map((name) => join(directory, name)) as [string, string]
    const { stdout } = await run('python3', ['-c', 'import sys; print(sys.executable)'])
    copyFileSync(realpathSync(stdout.trim()), python)
    chmodSync(python, 0o4755)
    copyFileSync(shellflip, file)
    const options = how === 'twice TERM' ? [] : ['--kill-timeout', '0.2']
    const program = `
os.setuid(0)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
say(f'main {os.getpid()}')
signal.sigwait([signal.SIGUSR1])
next = os.fork()
if next == 0:
    os.setuid(${NOBODY})
    say('next')
    while True: signal.pause()
send(f'${word}={next}')
barrier()`
    const service = speaking(program, { options, python, file, directory, uid: NOBODY, gid: NOBODY })
    const [, main] = await service.line(/main (\d+)/)
    service.signal('SIGTERM')
    await service.line(new RegExp(`signal 15 could not be sent to ${main}: .*not permitted`))
    if (how === 'twice TERM') service.signal('SIGTERM')
    await service.line(new RegExp(`${main} could not be killed: .*not permitted`))
    service.signal('SIGUSR1', Number(main))
    // Killed while it is but the next one, it leaves the exit status to the main process.
    const { code } = await service.firstExit
    expect(word === 'MAINPID' ? [137] : [137, 0]).toContain(code)
    await until(() => service.processes().length === 0, 'a generation is left')
  })
})

/** `nobody`, in every Debian. */
const NOBODY = 65_534

describe('SIGINT tells the service to end, as SIGTERM does, even one that goes on', () => {
  const program = `process.on('SIGINT', () => console.log('goes on')); process.on('SIGUSR1', () => process.exit(7))
    setInterval(() => {}, 1e6); console.log('up', process.pid)`
  const goesOn = async (...options: string[]) => {
    const service = start(null, { file: shellflip, execArgv: ['run', ...options, process.execPath, '-e', program] })
    const [, pid] = await service.line(/up (\d+)/)
    service.signal('SIGINT')
    await service.line(/goes on/)
    return { service, pid: Number(pid) }
  }

  it('the kill timeout kills it', async () => {
    const { service } = await goesOn('--kill-timeout', '0.2')
    expect(await service.firstExit).toEqual({ code: 137, signal: null })
  })

  it('it is not started again when it ends later', async () => {
    const { service, pid } = await goesOn('--restart', 'always')
    service.signal('SIGUSR1', pid)
    expect(await service.firstExit).toEqual({ code: 7, signal: null })
  })

  it('without a kill timeout it does go on, and SIGINT that it alone is sent is its own affair', async () => {
    const { service, pid } = await goesOn('--restart', 'on-failure')
    expect(alive(pid)).toBe(true)
    service.signal('SIGTERM')
    await gone(pid)
    const other = start(null, {
      file: shellflip,
      execArgv: ['run', '--restart', 'on-failure', '--kill-timeout', '0.2', process.execPath, '-e', program],
    })
    const [, first] = await other.line(/up (\d+)/)
    other.signal('SIGINT', Number(first))
    await other.line(/goes on/)
    other.signal('SIGUSR1', Number(first))
    await other.line(/exited with code 7; it is started again in 100 ms/)
    const [, second] = await other.line(/up (\d+)/)
    other.signal('SIGINT')
    await other.line(/goes on/)
    expect(await other.firstExit).toEqual({ code: 137, signal: null })
    await gone(Number(second))
  })
})

it('a service below the service is none of its generations: run ends with its own', async () => {
  const service = start('nests-a-service.mjs', { file: shellflip, execArgv: ['run', '--', process.execPath] })
  const { pid: inner } = await service.event('nested')
  const outer = service.processes().find(({ parent, pid }) => parent === service.pid && pid !== inner)
  service.signal('SIGKILL', outer?.pid)
  expect(await service.firstExit).toEqual({ code: 137, signal: null })
  service.signal('SIGTERM', inner)
  await gone(inner)
  // Its owner was killed.
  rmSync(join(service.directory, 'service.sock'))
  await service.clean()
})
