import { describe, expect, it } from 'vitest'
import { ShellflipError } from '../src/errors'
import { type Settings, validateOptions } from '../src/options'
import type { ServiceOptions } from '../src/types'

/** The error that these options are refused with. */
function refusal(options: unknown): ShellflipError {
  try {
    validateOptions(options as ServiceOptions)
  } catch (error) {
    if (error instanceof ShellflipError) return error
    throw error
  }
  throw new Error('they were accepted')
}

function accepted(options?: ServiceOptions): Settings {
  return validateOptions(options)
}

describe('defaults', () => {
  it('has one for everything', () => {
    expect(accepted()).toEqual({
      enabled: true,
      socket: undefined,
      restartSignal: 'SIGUSR2',
      shutdownSignals: ['SIGTERM', 'SIGINT'],
      readyTimeoutMs: 60_000,
      ready: 'manual',
      drainTimeoutMs: 30_000,
      shutdownTimeoutMs: 8_000,
      shutdownDelayMs: 0,
      migrateTimeoutMs: 5_000,
      handover: undefined,
      lifecycle: {},
      environment: {},
      command: undefined,
      supervisor: 'auto',
      fdStore: false,
      pidFile: undefined,
      logger: undefined,
      exit: true,
    })
  })

  it('takes undefined for an option left out', () => {
    const undefinedAll = Object.fromEntries(Object.keys(accepted()).map((key) => [key, undefined]))
    expect(accepted(undefinedAll as ServiceOptions)).toEqual(accepted({}))
  })
})

describe('a wrong option is refused with its name, what it got and what it wants', () => {
  const cases: [unknown, string][] = [
    [null, 'options must be an object, got null'],
    [[], 'options must be an object, got []'],
    [8080, 'options must be an object, got 8080'],
    [{ enabled: 'yes' }, "options.enabled must be true or false, got 'yes'"],
    [{ exit: 0 }, 'options.exit must be true or false, got 0'],
    [{ socket: '' }, "options.socket must be a path (a non-empty string) or false, got ''"],
    [{ socket: true }, 'options.socket must be a path (a non-empty string) or false, got true'],
    [{ socket: 'a\0b' }, "options.socket must be a path (a non-empty string) or false, got 'a\\x00b'"],
    [{ readyTimeoutMs: -1 }, 'options.readyTimeoutMs must be an integer >= 0 (milliseconds; 0 disables), got -1'],
    [{ readyTimeoutMs: 1.5 }, 'options.readyTimeoutMs must be an integer >= 0 (milliseconds; 0 disables), got 1.5'],
    [{ drainTimeoutMs: '5s' }, "options.drainTimeoutMs must be an integer >= 0 (milliseconds; 0 disables), got '5s'"],
    [
      { shutdownTimeoutMs: Number.NaN },
      'options.shutdownTimeoutMs must be an integer >= 0 (milliseconds; 0 disables), got NaN',
    ],
    [
      { shutdownDelayMs: null },
      'options.shutdownDelayMs must be an integer >= 0 (milliseconds; 0 means no delay), got null',
    ],
    [
      { migrateTimeoutMs: 5n },
      'options.migrateTimeoutMs must be an integer >= 0 (milliseconds; 0 moves nothing), got 5n',
    ],
    [
      { drainTimeoutMs: 2 ** 31 },
      'options.drainTimeoutMs must be at most 2147483647 (milliseconds; 0 disables), got 2147483648',
    ],
    [{ ready: 'auto' }, "options.ready must be 'manual' or 'listening', got 'auto'"],
    [{ supervisor: false }, "options.supervisor must be 'auto' or 'ignore', got false"],
    [
      { restartSignal: 'USR2' },
      'options.restartSignal must be a signal name such as "SIGUSR2", or false, got \'USR2\'',
    ],
    [{ restartSignal: 12 }, 'options.restartSignal must be a signal name such as "SIGUSR2", or false, got 12'],
    [{ restartSignal: 'SIGUSR1' }, 'options.restartSignal must not be SIGUSR1 (Node opens its debugger on it)'],
    [{ shutdownSignals: 'SIGTERM' }, "options.shutdownSignals must be an array of signal names, got 'SIGTERM'"],
    [{ shutdownSignals: ['SIGKILL'] }, 'options.shutdownSignals[0] must not be SIGKILL (it cannot be caught)'],
    [
      { shutdownSignals: ['SIGTERM', 15] },
      'options.shutdownSignals[1] must be a signal name such as "SIGTERM", got 15',
    ],
    [{ handover: { n: 1 } }, 'options.handover must be a function, got { n: 1 }'],
    [
      { lifecycle: () => 1 },
      'options.lifecycle must be an object with any of preNewProcess, sendToNewProcess, newProcessFailed',
    ],
    [{ lifecycle: { preNewProcess: 1 } }, 'options.lifecycle.preNewProcess must be a function, got 1'],
    [{ environment: ['A=1'] }, 'options.environment must be an object of strings (undefined removes a variable)'],
    [
      { environment: { PORT: 80 } },
      'options.environment.PORT must be a string without NUL, or undefined to remove it, got 80',
    ],
    [{ environment: { 'A=B': '' } }, "options.environment has a key no variable can have: 'A=B'"],
    [{ environment: { LISTEN_FDS: '1' } }, 'options.environment must not have LISTEN_FDS: the restart itself sets it'],
    [{ command: 'node server.js' }, "options.command must be an object { file, args, cwd? }, got 'node server.js'"],
    [{ command: { args: [] } }, 'options.command.file must be the program to run (a non-empty string), got undefined'],
    [
      { command: { file: 'a' } },
      'options.command.args must be an array of strings (without the program itself), got undefined',
    ],
    [{ command: { file: 'a', args: [1] } }, 'options.command.args[0] must be a string without NUL, got 1'],
    [
      { command: { file: 'a', args: [], cwd: '' } },
      "options.command.cwd must be a directory (a non-empty string), got ''",
    ],
    [{ logger: console.log }, 'options.logger must be an object with the functions info, warn and error'],
    [
      { logger: { info() {}, warn() {} } },
      'options.logger.error must be a function (message: string) => void, got undefined',
    ],
    [{ fdStore: 1 }, 'options.fdStore must be true or false, got 1'],
    [{ pidFile: 1 }, 'options.pidFile must be a path (a non-empty string), got 1'],
  ]
  it.each(cases)('%o', (options, message) => {
    const error = refusal(options)
    expect(error.code).toBe('ERR_SHELLFLIP_INVALID_ARG')
    expect(error.message.startsWith(message), error.message).toBe(true)
  })
})

describe('an unknown option is refused with the nearest known one', () => {
  it.each([
    ['drainTimeout', 'drainTimeoutMs'],
    ['readyTimoutMs', 'readyTimeoutMs'],
    ['restartsignal', 'restartSignal'],
    ['Enabled', 'enabled'],
    ['env', undefined],
    ['colour', undefined],
  ])('%s', (given, meant) => {
    const { message } = refusal({ [given]: 1 })
    expect(message).toContain(`options has no '${given}'`)
    expect(message.match(/did you mean (\w+)\?/)?.[1]).toBe(meant)
    expect(message).toContain('known: enabled, socket,')
  })

  it('also one level down', () => {
    expect(refusal({ lifecycle: { sendToNewproces() {} } }).message).toContain('did you mean sendToNewProcess?')
    expect(refusal({ command: { file: 'a', arguments: [] } }).message).toContain("options.command has no 'arguments'")
  })
})

describe('what does not go together', () => {
  it('handover and lifecycle', () => {
    expect(refusal({ handover: () => 1, lifecycle: {} }).message).toContain('exclude each other')
  })

  it('one signal for both', () => {
    expect(refusal({ shutdownSignals: ['SIGUSR2'] }).message).toContain('SIGUSR2 for both')
    expect(accepted({ shutdownSignals: ['SIGUSR2'], restartSignal: 'SIGHUP' }).restartSignal).toBe('SIGHUP')
    expect(accepted({ shutdownSignals: ['SIGUSR2'], restartSignal: false }).restartSignal).toBe(false)
  })
})

describe('what is accepted', () => {
  it('zero for every time', () => {
    const times = {
      readyTimeoutMs: 0,
      drainTimeoutMs: 0,
      shutdownTimeoutMs: 0,
      shutdownDelayMs: 0,
      migrateTimeoutMs: 0,
    }
    expect(accepted(times)).toMatchObject(times)
  })

  it('an instance of a class as lifecycle, with methods of its own', () => {
    class Handler {
      preNewProcess(): void {}
      helper(): void {}
    }
    const lifecycle = new Handler()
    expect(accepted({ lifecycle }).lifecycle).toBe(lifecycle)
  })

  it('the same shutdown signal twice, once', () => {
    expect(accepted({ shutdownSignals: ['SIGTERM', 'SIGTERM'] }).shutdownSignals).toEqual(['SIGTERM'])
    expect(accepted({ shutdownSignals: [] }).shutdownSignals).toEqual([])
  })

  it('changes made to the options afterwards change nothing', () => {
    const environment: Record<string, string> = { A: '1' }
    const args = ['server.js']
    const settings = accepted({ environment, command: { file: 'node', args } })
    environment.A = '2'
    args.push('more')
    expect(settings.environment).toEqual({ A: '1' })
    expect(settings.command).toEqual({ file: 'node', args: ['server.js'] })
  })
})
