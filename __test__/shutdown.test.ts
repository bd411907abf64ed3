import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ShutdownCoordinator, ShutdownSignal } from '../src/shutdown'

const run = promisify(execFile)
const fixture = (name: string) => join(__dirname, 'fixtures', name)

/** Whether a promise has settled by the next turn of the event loop. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false
  promise.then(() => {
    done = true
  })
  await new Promise(setImmediate)
  return done
}

describe('shutdown()', () => {
  it('resolves at once when nothing is held', async () => {
    expect(await settled(new ShutdownCoordinator().shutdown())).toBe(true)
  })

  it('resolves once the last handle is released', async () => {
    const coordinator = new ShutdownCoordinator()
    const [first, second] = [coordinator.handle(), coordinator.handle()]
    const over = coordinator.shutdown()
    first.release()
    expect(await settled(over)).toBe(false)
    second.release()
    expect(await settled(over)).toBe(true)
  })

  it('resolves also when handles came and went before', async () => {
    const coordinator = new ShutdownCoordinator()
    for (let i = 0; i < 3; i++) coordinator.handle().release()
    const last = coordinator.handle()
    const over = coordinator.shutdown()
    expect(await settled(over)).toBe(false)
    last.release()
    expect(await settled(over)).toBe(true)
  })

  it('gives the same promise every time', async () => {
    const coordinator = new ShutdownCoordinator()
    expect(coordinator.shutdown()).toBe(coordinator.shutdown())
    expect(await coordinator.shutdown()).toBeUndefined()
  })

  it('keeps the process alive while it waits', async () => {
    const { stdout } = await run(process.execPath, [fixture('shutdown-pending.mjs')], { timeout: 20_000 })
    expect(stdout).toBe('over\n')
  })

  it('is what `await using` does at the end of its block', async () => {
    let signal: AbortSignal
    {
      await using coordinator = new ShutdownCoordinator()
      signal = coordinator.signal
      expect(signal.aborted).toBe(false)
    }
    expect(signal.aborted).toBe(true)
  })
})

describe('shutdownWithTimeout()', () => {
  it('is true when every handle went in time', async () => {
    const coordinator = new ShutdownCoordinator()
    const handle = coordinator.handle()
    const over = coordinator.shutdownWithTimeout(60_000)
    handle.release()
    expect(await over).toBe(true)
  })

  it('is false when one is still held at the deadline, and may be asked again', async () => {
    const coordinator = new ShutdownCoordinator()
    const handle = coordinator.handle()
    expect(await coordinator.shutdownWithTimeout(1)).toBe(false)
    const again = coordinator.shutdownWithTimeout(0)
    handle.release()
    expect(await again).toBe(true)
    expect(await coordinator.shutdownWithTimeout(1)).toBe(true)
  })

  it('gives each caller its own deadline', async () => {
    const coordinator = new ShutdownCoordinator()
    const handle = coordinator.handle()
    const patient = coordinator.shutdown()
    expect(await coordinator.shutdownWithTimeout(1)).toBe(false)
    expect(await settled(patient)).toBe(false)
    handle.release()
    await patient
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '5' as unknown as number])(
    'refuses %s',
    async (timeoutMs) => {
      const coordinator = new ShutdownCoordinator()
      await expect(coordinator.shutdownWithTimeout(timeoutMs)).rejects.toMatchObject({
        code: 'ERR_SHELLFLIP_INVALID_ARG',
        message: expect.stringContaining(`got ${timeoutMs}`),
      })
      expect(coordinator.signal.aborted).toBe(false)
    },
  )
})

describe('a handle', () => {
  it('released twice counts once', async () => {
    const coordinator = new ShutdownCoordinator()
    const [twice, other] = [coordinator.handle(), coordinator.handle()]
    twice.release()
    twice.release()
    const over = coordinator.shutdown()
    expect(await settled(over)).toBe(false)
    other.release()
    await over
  })

  it('is released at the end of a `using` block', async () => {
    const coordinator = new ShutdownCoordinator()
    let over: Promise<void>
    {
      using handle = coordinator.handle()
      over = coordinator.shutdown()
      expect(handle.signal.aborted).toBe(true)
      expect(await settled(over)).toBe(false)
    }
    expect(await settled(over)).toBe(true)
  })

  it('may be cloned while draining, and each clone is waited for', async () => {
    const coordinator = new ShutdownCoordinator()
    const handle = coordinator.handle()
    const over = coordinator.shutdown()
    const clone = handle.clone()
    handle.release()
    expect(await settled(over)).toBe(false)
    clone.release()
    await over
  })

  it('cannot be cloned once released', () => {
    const handle = new ShutdownCoordinator().handle()
    handle.release()
    expect(() => handle.clone()).toThrow(expect.objectContaining({ code: 'ERR_SHELLFLIP_INVALID_ARG' }))
  })

  it('is refused once shutdown has begun', async () => {
    const coordinator = new ShutdownCoordinator()
    await coordinator.shutdown()
    expect(() => coordinator.handle()).toThrow(expect.objectContaining({ code: 'ERR_SHELLFLIP_DRAINING' }))
  })
})

describe('a weak handle', () => {
  it('holds nothing open', async () => {
    const coordinator = new ShutdownCoordinator()
    const weak = coordinator.handleWeak()
    await coordinator.shutdown()
    expect(weak.upgrade()).toBeNull()
  })

  it('upgrades until shutdown begins, and no longer, even while other handles live', async () => {
    const coordinator = new ShutdownCoordinator()
    const weak = coordinator.handleWeak()
    const strong = weak.upgrade()!
    const over = coordinator.shutdown()
    expect(weak.upgrade()).toBeNull()
    expect(await settled(over)).toBe(false)
    strong.release()
    await over
  })
})

describe('the signal', () => {
  it('resolves every await, before and after shutdown began', async () => {
    const coordinator = new ShutdownCoordinator()
    const { signal } = coordinator.handle()
    expect(signal).toBeInstanceOf(ShutdownSignal)
    const early = [signal.onShutdown(), signal.onShutdown()]
    expect(signal.aborted).toBe(false)
    coordinator.shutdown()
    await Promise.all(early)
    await signal.onShutdown()
    await signal.onShutdown()
    expect(signal.aborted).toBe(true)
  })

  it('is one AbortSignal, aborted with a DRAINING error or the reason given', () => {
    const coordinator = new ShutdownCoordinator()
    expect(coordinator.handle().signal.asAbortSignal()).toBe(coordinator.signal)
    coordinator.shutdown()
    expect(coordinator.signal.reason).toMatchObject({ code: 'ERR_SHELLFLIP_DRAINING' })

    const reason = new Error('deploy')
    const other = new ShutdownCoordinator()
    other.shutdown(reason)
    other.shutdown(new Error('too late'))
    expect(other.signal.reason).toBe(reason)
  })

  it('has a holder that releases in its listener finish the shutdown', async () => {
    const coordinator = new ShutdownCoordinator()
    const handle = coordinator.handle()
    coordinator.signal.addEventListener('abort', () => handle.release())
    expect(await settled(coordinator.shutdown())).toBe(true)
  })

  it('takes a thousand listeners without a warning', async () => {
    const warnings: Error[] = []
    const note = (warning: Error) => warnings.push(warning)
    process.on('warning', note)
    const { signal } = new ShutdownCoordinator()
    for (let i = 0; i < 1000; i++) signal.addEventListener('abort', () => {})
    await pause(1)
    process.off('warning', note)
    expect(warnings).toEqual([])
  })

  it('does not keep the process alive', async () => {
    const { stdout } = await run(process.execPath, [fixture('shutdown-awaited.mjs')], { timeout: 20_000 })
    expect(stdout).toBe('idle\n')
  })

  it('stays silent when its coordinator is garbage collected', async () => {
    const { stdout } = await run(process.execPath, ['--expose-gc', fixture('shutdown-collected.mjs')], {
      timeout: 20_000,
    })
    expect(JSON.parse(stdout)).toEqual({ collected: ['held', 'watched'], aborted: [false, false] })
  })
})
