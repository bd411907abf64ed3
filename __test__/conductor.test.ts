import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Conductor } from '../src/conductor'
import type { Context } from '../src/context'
import { LoopHold } from '../src/hold'
import type { Listeners } from '../src/listen'
import type { Engine, NativeLaunch } from '../src/native'
import { validateOptions } from '../src/options'
import type { ServiceOptions } from '../src/types'

/** What the conductor said to the engine, the listeners, the application and the log, in order. */
interface World {
  conductor: Conductor<unknown>
  context: Context
  said: string[]
  log: string[]
  launches: NativeLaunch[]
}

let opened: World | null = null

function world(options: ServiceOptions = {}, given: Partial<Context> = {}): World {
  const said: string[] = []
  const log: string[] = []
  const launches: NativeLaunch[] = []
  const say =
    (what: string) =>
    (...args: unknown[]) =>
      void said.push([what, ...args].join(' '))
  const engine = {
    ready: say('ready'),
    restart: say('restart'),
    shutdown: say('shutdown'),
    released: say('released'),
    drained: say('drained'),
    failing: say('failing'),
    prepareFailed: say('prepareFailed'),
    handoverDone: say('handoverDone'),
    undone: say('undone'),
    replyStatus: say('replyStatus'),
    unclaimed: () => [],
    draining: () => [],
    progress: () => null,
    serving: () => {
      said.push('serving')
      return true
    },
    launch: (attempt: number, spec: NativeLaunch) => {
      said.push(`launch ${attempt}`)
      launches.push(spec)
      return null
    },
  }
  const listeners = {
    startAccepting: say('startAccepting'),
    stopAccepting: say('stopAccepting'),
    resume: say('resume'),
    ticketKeys: () => [],
    names: () => [{ name: 'web', address: 'x' }],
    counts: () => ({ connections: 0, inFlight: 0 }),
    drain: async ({ reason, immediate }: { reason: string; immediate: boolean }) => {
      said.push(`drain ${reason}${immediate ? ' at once' : ''}`)
      return { cut: 2 }
    },
  }
  const write = (message: string) => void log.push(message)
  const context: Context = {
    settings: validateOptions({ exit: false, ...options }),
    engine: engine as unknown as Engine,
    generation: 1,
    successor: false,
    refusal: null,
    logger: { info: () => {}, warn: write, error: write },
    listeners: listeners as unknown as Listeners,
    hold: new LoopHold(),
    manager: null,
    phase: 'starting',
    announce: (event, ...args) => void said.push(`event ${event} ${JSON.stringify(args[0])}`),
    ...given,
  }
  opened = { conductor: new Conductor(context), context, said, log, launches }
  return opened
}

/** A world that serves. */
async function serving(options: ServiceOptions = {}, given: Partial<Context> = {}): Promise<World> {
  const made = world(options, given)
  const ready = made.conductor.readiness.ready()
  made.conductor.dispatch({ type: 'commit' })
  await ready
  made.said.length = 0
  return made
}

afterEach(() => {
  opened?.conductor.detach()
})

describe('release', () => {
  it('holds the process until the drain: without its listeners nothing else may, and hooks are still to run', async () => {
    const { conductor, context } = await serving()
    const acquire = vi.spyOn(context.hold, 'acquire')
    conductor.dispatch({ type: 'release' })
    expect(acquire).toHaveBeenCalledOnce()
    await turn()
    conductor.dispatch({ type: 'resume' })
  })
})

describe('ready', () => {
  it('accepts, then says so in the same turn, once the engine commits', async () => {
    const { conductor, said, context } = world()
    const ready = conductor.readiness.ready()
    expect(conductor.readiness.ready()).toBe(ready)
    expect(said).toEqual(['ready'])
    conductor.dispatch({ type: 'commit' })
    expect(said).toEqual(['ready', 'startAccepting', 'serving'])
    await ready
    expect(context.phase).toBe('ready')
  })

  it('catches the signals that end a new generation before it says that it serves, and not earlier', async () => {
    const { conductor, context } = world({}, { successor: true })
    const caught = () => [process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')]
    const before = caught()
    let whenSaid: number[] = []
    if (context.engine) {
      context.engine.serving = () => {
        whenSaid = caught()
        return true
      }
    }
    conductor.attach()
    const ready = conductor.readiness.ready()
    expect(caught()).toEqual(before)
    conductor.dispatch({ type: 'commit' })
    await ready
    expect(whenSaid).toEqual(before.map((count) => count + 1))
  })

  it('rejects if a listener cannot accept, and tells the old generation', async () => {
    const { conductor, said, context } = world()
    context.listeners.startAccepting = () => {
      throw new Error('listen EADDRINUSE')
    }
    const ready = conductor.readiness.ready()
    conductor.dispatch({ type: 'commit' })
    await expect(ready).rejects.toThrow('listen EADDRINUSE')
    expect(said).toEqual(['ready', 'failing cannot accept connections: listen EADDRINUSE'])
  })

  it("in 'listening' mode waits in a new generation for the last inherited listener", async () => {
    const { conductor, said, context } = world({ ready: 'listening' }, { successor: true })
    const unclaimed = [{ name: 'admin', address: { kind: 'tcp' as const } }]
    if (context.engine) context.engine.unclaimed = () => unclaimed
    conductor.readiness.onListen()
    await turn()
    expect(said).toEqual([])
    unclaimed.length = 0
    conductor.readiness.onListen()
    await turn()
    expect(said).toEqual(['ready'])
  })
})

describe('a restart', () => {
  it('runs the hook, launches, hands over and resolves', async () => {
    const hooks: string[] = []
    const lifecycle = { preNewProcess: async () => void hooks.push('preNewProcess') }
    const { conductor, context, said, launches } = await serving({
      lifecycle,
      environment: { COLOUR: 'blue' },
      command: { file: '/bin/sh', args: ['-c', 'true'], cwd: '/' },
    })
    const restart = conductor.restarts?.restart()
    conductor.dispatch({ type: 'prepare', attempt: 1, generation: 2 })
    expect(context.phase).toBe('restarting')
    await turn()
    expect(hooks).toEqual(['preNewProcess'])
    expect(launches[0]).toMatchObject({ args: ['/bin/sh', '-c', 'true'], cwd: '/', tickets: [] })
    expect(launches[0]?.environment).toContain('COLOUR=blue')
    conductor.dispatch({ type: 'restarting', pid: 7 })
    conductor.dispatch({ type: 'handover', attempt: 1 })
    await turn()
    const outcome = { pid: 7, generation: 2, durationMs: 83 }
    conductor.dispatch({ type: 'outcome', id: 1, ...outcome })
    conductor.dispatch({ type: 'restarted', ...outcome })
    expect(await restart).toEqual(outcome)
    expect(said).toEqual([
      'restart 1',
      'launch 1',
      'event restarting {"pid":7}',
      'handoverDone 1 ',
      `event restarted ${JSON.stringify(outcome)}`,
    ])
  })

  it('that fails is rejected, told to the hook, and over', async () => {
    let told: Error | undefined
    const { conductor, context, said } = await serving({
      lifecycle: {
        newProcessFailed(error) {
          told = error
        },
      },
    })
    const restart = conductor.restarts?.restart()
    const phaseWhenTold = restart?.catch(() => context.phase)
    conductor.dispatch({ type: 'prepare', attempt: 1, generation: 2 })
    const failure = {
      code: 'ERR_SHELLFLIP_GENERATION_EXITED',
      message: 'it exited',
      pid: 7,
      signal: 9,
      phase: 'starting',
    }
    conductor.dispatch({ type: 'undo', attempt: 1, failure })
    await turn()
    expect(told).toMatchObject({ code: 'ERR_SHELLFLIP_GENERATION_EXITED' })
    expect(said).toContain('undone 1')
    expect(context.phase).toBe('restarting')
    conductor.dispatch({ type: 'outcome', id: 1, durationMs: 1, failure })
    await turn()
    conductor.dispatch({ type: 'rolledBack', failure, asked: true })
    await expect(restart).rejects.toMatchObject({
      name: 'ShellflipError',
      code: 'ERR_SHELLFLIP_GENERATION_EXITED',
      message: 'it exited',
      pid: 7,
      signal: 'SIGKILL',
      phase: 'starting',
    })
    expect(await phaseWhenTold).toBe('ready')
    expect(said.some((each) => each.startsWith('event restartFailed'))).toBe(true)
  })

  it('whose hook fails starts nothing', async () => {
    const { conductor, said } = await serving({
      lifecycle: {
        preNewProcess() {
          throw new Error('disk full')
        },
      },
    })
    conductor.dispatch({ type: 'prepare', attempt: 1, generation: 2 })
    await turn()
    expect(said).toEqual(['prepareFailed 1 lifecycle.preNewProcess failed: disk full'])
  })

  it('is refused where it would end the service, whoever asks', async () => {
    const { conductor, said } = await serving({}, { refusal: 'a restart here would end the service (tini)' })
    await expect(conductor.restarts?.restart()).rejects.toMatchObject({ code: 'ERR_SHELLFLIP_UNSUPPORTED' })
    conductor.dispatch({ type: 'prepare', attempt: 1, generation: 2 })
    await turn()
    expect(said).toEqual(['prepareFailed 1 ERR_SHELLFLIP_UNSUPPORTED: a restart here would end the service (tini)'])
  })

  it('asked for by a signal warns if it fails, since nobody waits for it', async () => {
    const { conductor, said, log } = await serving()
    conductor.restarts?.restartBySignal()
    expect(said).toEqual(['restart 0'])
    const failure = { code: 'ERR_SHELLFLIP_GENERATION_EXITED', message: 'it exited' }
    conductor.dispatch({ type: 'rolledBack', failure, asked: false })
    expect(log).toEqual(['a restart failed: it exited'])
  })
})

describe('the end', () => {
  it('after a restart: stops accepting, says so, drains, stops', async () => {
    const { conductor, context, said } = await serving()
    conductor.dispatch({ type: 'release' })
    await turn()
    expect(said).toEqual(['stopAccepting', 'released'])
    conductor.dispatch({ type: 'drain', reason: 'restart' })
    expect(await conductor.ending.closed).toEqual({ cut: 2 })
    expect(said.slice(2)).toEqual([
      'event draining {"reason":"restart"}',
      'drain restart',
      'event drained {"cut":2}',
      'drained',
    ])
    expect(context.phase).toBe('stopped')
  })

  it('is called off when the new generation dies at the last moment: the listeners accept again', async () => {
    const { conductor, said } = await serving()
    conductor.dispatch({ type: 'release' })
    await turn()
    conductor.dispatch({ type: 'resume' })
    conductor.dispatch({ type: 'release' })
    await turn()
    expect(said).toEqual(['stopAccepting', 'released', 'resume', 'stopAccepting', 'released'])
  })

  it('by shutdown() waits for the engine, which may have a restart to undo first', async () => {
    const { conductor, said } = await serving()
    const closed = conductor.ending.shutdown()
    expect(conductor.ending.shutdown()).toBe(closed)
    expect(said).toEqual(['shutdown'])
    conductor.dispatch({ type: 'drain', reason: 'shutdown' })
    await closed
    expect(said).toContain('drain shutdown')
  })

  it('by a signal goes on accepting for shutdownDelayMs, and not after a second, hasty one', async () => {
    const { conductor, said, context } = await serving({ shutdownDelayMs: 60_000 })
    const closed = conductor.ending.shutdown({ delayed: true })
    conductor.dispatch({ type: 'drain', reason: 'shutdown' })
    await turn()
    expect(context.phase).toBe('draining')
    expect(conductor.ending.signal.aborted).toBe(false)
    expect(said).not.toContain('stopAccepting')
    void conductor.ending.shutdown({ immediate: true })
    await closed
    expect(said).toContain('drain shutdown at once')
  })

  it('before it was ready: ready() rejects', async () => {
    const { conductor } = world()
    const ready = conductor.readiness.ready()
    void conductor.ending.shutdown()
    conductor.dispatch({ type: 'drain', reason: 'shutdown' })
    await expect(ready).rejects.toMatchObject({ code: 'ERR_SHELLFLIP_DRAINING' })
    await conductor.ending.closed
  })
})

describe('an engine that breaks', () => {
  it('leaves a service that can be shut down', async () => {
    const { conductor, log, said } = await serving()
    conductor.dispatch({ type: 'started', warnings: [], handover: 'none' })
    const restart = conductor.restarts?.restart()
    conductor.dispatch({ type: 'failed', failure: { code: 'ERR_SHELLFLIP_UNSUPPORTED', message: 'it broke' } })
    await expect(conductor.lost).rejects.toThrow('it broke')
    await expect(restart).rejects.toMatchObject({ message: 'it broke' })
    expect(log).toEqual(['it broke'])
    expect(await conductor.ending.shutdown()).toEqual({ cut: 2 })
    expect(said).toContain('drain shutdown')
  })
})

describe('the process', () => {
  it('has no listener of ours left once the service has ended', async () => {
    const names = ['exit', 'uncaughtExceptionMonitor', 'SIGUSR2', 'SIGTERM', 'SIGINT'] as const
    const count = () => names.map((name) => process.listenerCount(name))
    const before = count()
    const { conductor } = world({}, { successor: true })
    conductor.attach()
    expect(process.listenerCount('SIGTERM')).toBe(before[3])
    conductor.dispatch({ type: 'commit' })
    expect(process.listenerCount('SIGTERM')).toBe((before[3] ?? 0) + 1)
    conductor.dispatch({ type: 'drain', reason: 'restart' })
    await conductor.ending.closed
    expect(count()).toEqual(before)
  })
})
