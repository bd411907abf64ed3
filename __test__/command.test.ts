import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { cannotStartAgain, thisProcessAgain } from '../src/command'
import { type Origin, scriptAsGiven } from '../src/origin'

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'shellflip-command-')))
afterAll(() => rmSync(folder, { recursive: true }))

/** A service started as `node server.js` in a folder that is there. */
function started(changes: Partial<Origin> = {}): Origin {
  return {
    runtime: 'node',
    kind: 'main',
    watched: false,
    single: false,
    program: process.execPath,
    argv: [process.execPath, '/srv/app/server.js'],
    execArgv: [],
    commandLine: [],
    directory: folder,
    script: '/srv/app/server.js',
    scriptFound: false,
    ...changes,
  }
}

const argumentsOf = (changes: Partial<Origin>) => thisProcessAgain({}, started(changes)).args.slice(1)

describe('the arguments', () => {
  it('are those of the runtime, the script and the program, whatever is in them', () => {
    const strange = ['two words', '"quoted"', "it's", 'ünïcödé 🚀', '', '-e', '--inspect=9229', '$(x)\n']
    const argv = [process.execPath, '/srv/app/server.js', ...strange]
    expect(argumentsOf({ argv, execArgv: ['--import', './x.mjs'] })).toEqual([
      '--import',
      './x.mjs',
      '/srv/app/server.js',
      ...strange,
    ])
  })

  it('begin with the program', () => {
    const { file, args } = thisProcessAgain({}, started())
    expect(file).toBe(process.execPath)
    expect(args[0]).toBe(process.execPath)
  })

  it('of code given by -e come behind it', () => {
    const execArgv = ['-e', 'serve()']
    expect(argumentsOf({ execArgv, argv: ['node', 'a'], script: null })).toEqual(['-e', 'serve()', 'a'])
    expect(argumentsOf({ execArgv, argv: ['node', '--flag'], script: null })).toEqual(['-e', 'serve()', '--', '--flag'])
    expect(argumentsOf({ execArgv, argv: ['bun', '--flag'], script: null, runtime: 'bun' })).toEqual([
      '-e',
      'serve()',
      '--flag',
    ])
  })

  it('of a single executable leave out what stands for its script', () => {
    expect(argumentsOf({ single: true, argv: ['/app', '/app', '--port', '80'], script: null })).toEqual([
      '--port',
      '80',
    ])
    const argv = ['bun', '/$bunfs/root/app', 'x']
    expect(argumentsOf({ runtime: 'bun', single: true, argv, script: null })).toEqual(['x'])
  })

  it('of a single executable have the options of Node that its program does not see', () => {
    const argv = ['/app', '/app', 'a', 'b']
    const single = { single: true, argv, script: null }
    const commandLine = ['/app', 'a', '--node-options=--title=x --inspect=9229', 'b']
    expect(argumentsOf({ ...single, commandLine })).toEqual(['--node-options=--title=x --inspect=0', 'a', 'b'])
    // One that was built without them has the program's own arguments only.
    const seen = { ...single, argv: [...argv, '--node-options=c'] }
    expect(argumentsOf({ ...seen, commandLine: ['/app', 'a', 'b', '--node-options=c'] })).toEqual([
      'a',
      'b',
      '--node-options=c',
    ])
    expect(argumentsOf({ ...single, commandLine: ['a title'] })).toEqual(['a', 'b'])
  })

  it('of Deno are those that the kernel knows', () => {
    const commandLine = ['deno', 'run', '-A', '--inspect=127.0.0.1:9229', 'server.ts', 'a b', '']
    const argv = ['/usr/bin/deno', '/srv/app/server.ts', 'a b', '']
    expect(argumentsOf({ runtime: 'deno', commandLine, argv })).toEqual([
      'run',
      '-A',
      '--inspect=127.0.0.1:0',
      'server.ts',
      'a b',
      '',
    ])
  })

  it.each([
    [['--inspect'], ['--inspect=0']],
    [['--inspect=9230'], ['--inspect=0']],
    [['--inspect=0.0.0.0:9230'], ['--inspect=0.0.0.0:0']],
    [['--inspect=[::1]:9230'], ['--inspect=[::1]:0']],
    [['--inspect=localhost'], ['--inspect=localhost:0']],
    [['--inspect=localhost:6499/prefix'], ['--inspect=localhost:0/prefix']],
    [['--inspect-brk=9230'], ['--inspect=0']],
    [['--inspect_brk'], ['--inspect=0']],
    [['--inspect-wait=9230'], ['--inspect=0']],
    [
      ['--inspect-port', '9230'],
      ['--inspect-port', '0'],
    ],
    [['--inspect-port=127.0.0.1:9230'], ['--inspect-port=127.0.0.1:0']],
    [['--inspect-publish-uid=http'], ['--inspect-publish-uid=http']],
  ])('%j move the debugger to a port of its own and never wait for it', (execArgv, expected) => {
    expect(argumentsOf({ execArgv })).toEqual([...expected, '/srv/app/server.js'])
  })
})

describe('the script', () => {
  const given = { argv: ['node', '/releases/1/server.js', 'a'], cwd: '/releases/1', directory: '/current' }

  it('is named as it was given', () => {
    expect(scriptAsGiven({ ...given, commandLine: ['node', '--x', 'server.js', 'a'] })).toBe('server.js')
    expect(scriptAsGiven({ ...given, commandLine: ['node', './server.js', 'a'] })).toBe('./server.js')
    expect(scriptAsGiven({ ...given, commandLine: ['node', '/releases/1/server.js', 'a'] })).toBe(
      '/releases/1/server.js',
    )
    expect(scriptAsGiven({ ...given, argv: ['node', '/releases/1/-x.js'], commandLine: ['node', '--', '-x.js'] })).toBe(
      './-x.js',
    )
  })

  it('counts as relative if it lies in the directory and the kernel does not know any more', () => {
    expect(scriptAsGiven({ ...given, commandLine: ['my title'] })).toBe('server.js')
    expect(scriptAsGiven({ ...given, commandLine: [] })).toBe('server.js')
    expect(scriptAsGiven({ ...given, commandLine: ['node', 'server.js', 'b'] })).toBe('server.js')
    expect(scriptAsGiven({ ...given, argv: ['node', '/opt/server.js'], commandLine: [] })).toBe('/opt/server.js')
    expect(scriptAsGiven({ ...given, directory: '/releases/1', commandLine: [] })).toBe('/releases/1/server.js')
  })
})

describe('the environment', () => {
  const saved = { ...process.env }
  afterEach(() => {
    for (const key of Object.keys(process.env)) if (!(key in saved)) delete process.env[key]
    Object.assign(process.env, saved)
  })
  const variables = (environment: Record<string, string | undefined> = {}) =>
    thisProcessAgain({ environment }, started()).environment

  it('is the present one with the changes asked for', () => {
    Object.assign(process.env, { TEST_KEPT: 'a=b c', TEST_CHANGED: '1', TEST_REMOVED: '1', TEST_EMPTY: '' })
    const list = variables({ TEST_CHANGED: '2', TEST_REMOVED: undefined, TEST_NEW: 'ü\n' })
    expect(list.filter((each) => each.startsWith('TEST_')).sort()).toEqual([
      'TEST_CHANGED=2',
      'TEST_EMPTY=',
      'TEST_KEPT=a=b c',
      'TEST_NEW=ü\n',
    ])
  })

  it('has nothing that means this process only', () => {
    const names = [
      'NODE_CHANNEL_FD',
      'NODE_UNIQUE_ID',
      'WATCHDOG_PID',
      'OXY_NOTIFY_SOCKET',
      'SHELLFLIP_CHANNEL',
      'LISTEN_FDS',
    ]
    for (const name of names) process.env[name] = '3'
    const keys = variables().map((each) => each.slice(0, each.indexOf('=')))
    expect(keys.filter((key) => names.includes(key))).toEqual([])
  })

  it('keeps the watchdog only if it is ours', () => {
    process.env.WATCHDOG_USEC = '30000000'
    process.env.WATCHDOG_PID = String(process.pid)
    expect(variables()).toContain('WATCHDOG_USEC=30000000')
    process.env.WATCHDOG_PID = '1'
    expect(variables().filter((each) => each.startsWith('WATCHDOG_'))).toEqual([])
  })

  it('carries the decision about the supervisor', () => {
    expect(variables().filter((each) => each.startsWith('SHELLFLIP_SUPERVISED='))).toHaveLength(1)
  })

  it('has the directory in PWD, and moves a debugger in NODE_OPTIONS', () => {
    process.env.PWD = '/elsewhere'
    process.env.NODE_OPTIONS = '--max-old-space-size=512 --inspect=9229 --inspect-port 9230'
    const list = variables()
    expect(list).toContain(`PWD=${folder}`)
    expect(list).toContain('NODE_OPTIONS=--max-old-space-size=512 --inspect=0 --inspect-port 0')
  })
})

describe('the option command', () => {
  const command = { file: 'node', args: ['other.js', 'a b'] }

  it('is looked for in PATH', () => {
    const environment = { PATH: `/nowhere:${join(process.execPath, '..')}` }
    const launch = thisProcessAgain({ command, environment }, started())
    expect(launch).toMatchObject({ file: process.execPath, args: ['node', 'other.js', 'a b'], cwd: folder })
  })

  it('may start elsewhere', () => {
    mkdirSync(join(folder, 'bin'))
    symlinkSync(process.execPath, join(folder, 'bin', 'program'))
    const launch = thisProcessAgain({ command: { file: './program', args: [], cwd: 'bin' } }, started())
    expect(launch).toMatchObject({
      file: join(folder, 'bin', 'program'),
      args: ['./program'],
      cwd: join(folder, 'bin'),
    })
    expect(launch.environment).toContain(`PWD=${join(folder, 'bin')}`)
  })

  it('makes a program from standard input restartable', () => {
    expect(cannotStartAgain({ command }, started({ argv: ['node'], script: null }))).toBeNull()
  })
})

describe('refused before anything starts', () => {
  const unsupported = (changes: Partial<Origin>) => {
    const error = cannotStartAgain({}, started(changes))
    expect(() => thisProcessAgain({}, started(changes))).toThrow(error?.message)
    expect(error?.code).toBe('ERR_SHELLFLIP_UNSUPPORTED')
    return error?.message
  }

  it('a worker thread and a cluster worker, with what to do', () => {
    expect(unsupported({ kind: 'worker thread' })).toMatch(/main thread/)
    expect(unsupported({ kind: 'cluster worker' })).toMatch(/without node:cluster/)
  })

  it('a program from standard input', () => {
    expect(unsupported({ argv: ['node'], script: null })).toMatch(/put it in a file/)
    expect(unsupported({ argv: ['node', '-', 'a'], script: null })).toMatch(/put it in a file/)
    expect(unsupported({ runtime: 'bun', argv: ['bun', '-'], execArgv: ['-'], script: null })).toMatch(
      /put it in a file/,
    )
    const argv = ['deno', '/srv/$deno$stdin.mts']
    expect(unsupported({ runtime: 'deno', argv, commandLine: ['deno', 'run', '-'] })).toMatch(/put it in a file/)
  })

  it('a watched process', () => {
    expect(unsupported({ watched: true })).toMatch(/without --watch/)
    expect(unsupported({ runtime: 'bun', execArgv: ['--hot'] })).toMatch(/without --watch/)
    expect(unsupported({ runtime: 'deno', commandLine: ['deno', 'run', '--watch=src', 'x.ts'] })).toMatch(
      /without --watch/,
    )
  })

  it('Deno where the kernel does not tell', () => {
    expect(unsupported({ runtime: 'deno' })).toMatch(/option command/)
  })

  const failed = (changes: Partial<Origin>, options = {}) => {
    try {
      return thisProcessAgain(options, started(changes))
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_SHELLFLIP_SPAWN_FAILED', phase: 'starting' })
      return (error as Error).message
    }
  }

  it('a directory that is gone or is none', () => {
    expect(failed({ directory: join(folder, 'gone') })).toMatch(
      `working directory ${folder}/gone cannot be found (ENOENT)`,
    )
    expect(failed({ directory: process.execPath })).toMatch('not a directory')
    expect(failed({ directory: null })).toMatch('deleted before')
  })

  it('a script that is gone', () => {
    expect(failed({ script: 'gone.js', scriptFound: true })).toMatch(
      `script ${folder}/gone.js cannot be found (ENOENT)`,
    )
  })

  it('a program that is gone, or none', () => {
    expect(failed({ program: '/gone/node' })).toMatch('program /gone/node cannot be run (ENOENT)')
    const command = (file: string) => ({ command: { file, args: [] } })
    expect(failed({}, command('no-such-program'))).toMatch('no-such-program, looked for in PATH')
    expect(failed({}, command(folder))).toMatch(`program ${folder} cannot be run (not a file)`)
    writeFileSync(join(folder, 'text'), '')
    expect(failed({}, command('./text'))).toMatch('text cannot be run (EACCES)')
  })
})
