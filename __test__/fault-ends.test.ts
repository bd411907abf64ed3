/** Promise 3: the new generation ends before it is ready. The old one goes on, and nothing is left behind. */
import { describe, expect, it } from 'vitest'
import { Faulty, survives } from './support/fault'
import { until } from './support/processes'

const ENDED = { code: 'GENERATION_EXITED', phase: 'waiting for ready' }

describe('the new generation exits', () => {
  it('with 7', () =>
    survives(
      'exits-before-ready.mjs',
      {
        ...ENDED,
        exitCode: 7,
        message: /^generation 2 exited with code 7 while starting \(\d+ ms\): see what it printed$/,
      },
      { env: { EXIT: '7' } },
    ))

  it('with 0, success of the wrong kind', () =>
    survives(
      'exits-before-ready.mjs',
      {
        ...ENDED,
        exitCode: 0,
        message:
          /^generation 2 exited with code 0 while starting \(\d+ ms\): it must go on running and call ready\(\);/,
      },
      { env: { EXIT: '0' } },
    ))

  it('by an error that nobody catches', () =>
    survives('throws-before-ready.mjs', {
      ...ENDED,
      exitCode: 1,
      message: /^generation 2 exited with code 1 while starting: Error: the database is gone \(\d+ ms\)$/,
    }))

  it("with 7, when it has closed a server: the socket file is the old one's still", () =>
    survives('closes-a-server.mjs', {
      ...ENDED,
      exitCode: 7,
      message: /^generation 2 exited with code 7 while starting /,
    }))

  it("with another code, given by an 'exit' handler", () =>
    survives('exits-twice.mjs', {
      ...ENDED,
      exitCode: 5,
      message: /^generation 2 exited with code 5 while starting: Error: the database is gone \(\d+ ms\)$/,
    }))
})

describe('a signal ends the new generation', () => {
  it('SIGKILL', () =>
    survives(
      'killed-before-ready.mjs',
      {
        ...ENDED,
        signal: 'SIGKILL',
        message:
          /^generation 2 was ended by SIGKILL while starting \(\d+ ms\): by somebody, or by the kernel for want of/,
      },
      { env: { SIGNAL: 'SIGKILL' } },
    ))

  it('abort()', () =>
    survives('killed-before-ready.mjs', {
      ...ENDED,
      signal: 'SIGABRT',
      message: /^generation 2 was ended by SIGABRT while starting \(\d+ ms\): see what it printed;/,
    }))

  it('SIGTERM, of which it dies at once', async () => {
    const faulty = await Faulty.start('never-ready.mjs')
    const { service } = faulty
    const failed = faulty.failsByCommand({
      ...ENDED,
      signal: 'SIGTERM',
      message: /^generation 2 was ended by SIGTERM while starting \(\d+ ms\)$/,
    })
    for (let said = await service.event('listening'); said.generation !== 2; said = await service.event('listening'));
    const [second] = service
      .processes()
      .filter(({ command }) => command.includes('never-ready.mjs'))
      .map(({ pid }) => pid)
      .filter((pid) => pid !== service.pid)
    service.signal('SIGTERM', second)
    await failed
    await faulty.recovers()
  })
})

describe('the new generation runs out of memory', () => {
  it('of its heap', () =>
    survives('fills-its-heap.mjs', {
      ...ENDED,
      signal: 'SIGABRT',
      message:
        /^generation 2 was ended by SIGABRT while starting \(\d+ ms\): .* that run out of memory, threads or descriptors end like this$/,
    }))
})

describe('the new generation ends and leaves a process that keeps every descriptor', () => {
  it('nobody waits for an end of file', async () => {
    const faulty = await Faulty.start('starts-by-shell.mjs', { env: { FAULT: 'sleep 1000 & exit 3' } })
    const { service } = faulty
    const { code, stderr } = await service.cli('restart')
    expect(code).toBe(1)
    expect(stderr).toMatch(/exited with code 3 while starting \(\d+ ms\) before it called shellflip\(\)/)
    await service.event('failed')
    await faulty.serves(service.pid, 1)
    const orphan = service.processes().filter(({ command }) => command === 'sleep 1000')
    expect(orphan).toHaveLength(1)
    expect(service.processes()).toHaveLength(2)
    service.signal('SIGKILL', orphan[0]?.pid)
    await until(() => service.processes().length === 1, 'the killed process still runs')
    await faulty.unharmed()
    await faulty.recovers()
  })
})
