/** RestartConfig and the functions beside it, as far as no process is needed. */
import { RestartConfig, spawnRestartTask, startupComplete } from '@shellflip/node'
import { afterEach, describe, expect, it } from 'vitest'
import { node, root } from './support/run'

const code = 'ERR_SHELLFLIP_INVALID_ARG'

describe('RestartConfig', () => {
  it("has the crate's defaults, but for the signal", () => {
    expect({ ...new RestartConfig() }).toEqual({
      enabled: false,
      coordinationSocketPath: '',
      environment: {},
      lifecycleHandler: {},
      exitOnError: true,
      restartSignal: 'SIGUSR2',
    })
  })

  it.each([
    [{ enabled: 'yes' }, /RestartConfig\.enabled must be true or false, got 'yes'/],
    [{ enabled: true }, /RestartConfig\.coordinationSocketPath must be a path/],
    [{ coordinationSocketPath: 3 }, /RestartConfig\.coordinationSocketPath must be a path .*, got 3/],
    [{ environment: { A: 1 } }, /RestartConfig\.environment\.A must be a string/],
    [{ environment: { OXY_NOTIFY_SOCKET: '3' } }, /RestartConfig\.environment must not have OXY_NOTIFY_SOCKET/],
    [
      { lifecycleHandler: { preNewProces() {} } },
      /RestartConfig\.lifecycleHandler has no .*did you mean preNewProcess/,
    ],
    [{ lifecycleHandler: { preNewProcess: 1 } }, /RestartConfig\.lifecycleHandler\.preNewProcess must be a function/],
    [{ exitOnError: 1 }, /RestartConfig\.exitOnError must be true or false/],
    [{ restartSignal: 'SIGUSR1' }, /RestartConfig\.restartSignal must not be SIGUSR1 \(Node opens its debugger/],
    [{ restartSignal: 'SIGNOT' }, /RestartConfig\.restartSignal must be a signal name/],
    [
      { coordinationSocket: '/run/a' },
      /RestartConfig has no 'coordinationSocket': did you mean coordinationSocketPath/,
    ],
    [null, /RestartConfig must be made from an object, got null/],
  ])('refuses %j', (init, message) => {
    const made = expect.objectContaining({ code, message: expect.stringMatching(message) })
    expect(() => new RestartConfig(init as never)).toThrow(made)
    expect(() => spawnRestartTask(init as never)).toThrow(made)
  })

  it('is checked again when it is used: its fields may have changed', () => {
    const config = new RestartConfig()
    config.enabled = true
    expect(() => config.tryIntoRestartTask()).toThrow(expect.objectContaining({ code }))
  })
})

describe('startupComplete()', () => {
  it('refuses to be ready for nothing', () => {
    expect(() => startupComplete()).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining('tryIntoRestartTask()') }),
    )
  })
})

describe('fixupSystemdEnv()', () => {
  const fixed = async (value: string) => {
    const program = `
      import { fixupSystemdEnv } from '${root}/dist/index.mjs'
      console.log(process.env.LISTEN_PID)
      process.env.LISTEN_PID = '${value}'
      fixupSystemdEnv()
      console.log(process.env.LISTEN_PID === String(process.pid) ? 'ours' : process.env.LISTEN_PID)`
    const { stdout, stderr } = await node(['--input-type=module', '-e', program], { env: { LISTEN_PID: 'auto' } })
    expect(stderr).toBe('')
    return stdout.trim().split('\n')
  }

  it('makes auto this process, and leaves another process alone; loading has dealt with what was there', async () => {
    expect(await fixed('auto')).toEqual(['undefined', process.platform === 'linux' ? 'ours' : 'auto'])
    expect(await fixed('1')).toEqual(['undefined', '1'])
  })
})

afterEach(() => {
  // None of these may have begun to listen to signals.
  expect(process.listenerCount('SIGUSR2')).toBe(0)
})
