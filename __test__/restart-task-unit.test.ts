/** How the task follows its service, with a service that only pretends. */
import { EventEmitter } from 'node:events'
import { beforeEach, expect, it, vi } from 'vitest'
import { type Deferred, deferred } from '../src/deferred'
import { validateInit } from '../src/restart-init'
import { startTask } from '../src/restart-task'
import type { ServiceOptions } from '../src/types'

/** As much of a service as a task needs; `shutdown()` only stops accepting when told, by `abort()`. */
class Pretended extends EventEmitter {
  readonly #controller = new AbortController()
  readonly losing: Deferred<never> = deferred()
  readonly signal = this.#controller.signal
  readonly lost = this.losing.promise
  readonly shutdown = vi.fn()
  readonly ready = vi.fn(async () => {})

  abort(reason: unknown): void {
    this.#controller.abort(reason)
  }
}

let service: Pretended
let options: ServiceOptions
vi.mock('../src/start', () => ({
  startService: (given: ServiceOptions) => {
    options = given
    return Promise.resolve(service)
  },
}))

beforeEach(() => {
  service = new Pretended()
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

function running(init = {}) {
  const outcome = startTask(validateInit(init)).run()
  const settled = vi.fn()
  outcome.then(settled, settled)
  return { outcome, settled }
}

it('asks for a service that leaves the end to the application', () => {
  running({ enabled: true, coordinationSocketPath: '/run/a.sock' })
  expect(options).toMatchObject({ exit: false, shutdownSignals: [], drainTimeoutMs: 0, shutdownTimeoutMs: 0 })
  expect(options.socket).toBe('/run/a.sock')
  running()
  expect(options.socket).toBe(false)
  expect(options.lifecycle?.sendToNewProcess, 'nothing to hand over').toBeUndefined()
})

it('is ready at the first run() and not before', async () => {
  const task = startTask(validateInit({}))
  await turn()
  expect(service.ready).not.toHaveBeenCalled()
  task.run()
  task.run()
  await turn()
  expect(service.ready).toHaveBeenCalledTimes(1)
})

it('settles when the service has stopped accepting, and not before', async () => {
  const { outcome, settled } = running()
  await turn()
  service.emit('restarted', { pid: 7 })
  await turn()
  expect(settled).not.toHaveBeenCalled()
  service.abort('a restart')
  expect(await outcome).toEqual({ pid: 7 })
})

it.each([
  ['a failed restart', () => void options.lifecycle?.newProcessFailed?.(new Error('failed') as never)],
  ['a broken engine', () => service.losing.reject(new Error('failed'))],
])('%s ends the service, and then the task with what it was', async (_, fail) => {
  const { outcome, settled } = running()
  await turn()
  fail()
  await turn()
  expect(service.shutdown).toHaveBeenCalledTimes(1)
  expect(settled).not.toHaveBeenCalled()
  service.abort('a shutdown')
  await expect(outcome).rejects.toThrow('failed')
})

it('newProcessFailed comes first, however long it takes', async () => {
  const hook = deferred<void>()
  running({ lifecycleHandler: { newProcessFailed: () => hook.promise } })
  await turn()
  void options.lifecycle?.newProcessFailed?.(new Error('failed') as never)
  await turn()
  expect(service.shutdown).not.toHaveBeenCalled()
  hook.resolve()
  await turn()
  expect(service.shutdown).toHaveBeenCalledTimes(1)
})

it('a hook that fails changes nothing about that', async () => {
  const hook = async () => {
    throw new Error('the hook failed')
  }
  const { outcome } = running({ lifecycleHandler: { newProcessFailed: hook } })
  await turn()
  await expect(options.lifecycle?.newProcessFailed?.(new Error('failed') as never)).rejects.toThrow('the hook failed')
  await turn()
  service.abort('a shutdown')
  await expect(outcome).rejects.toThrow('failed')
})

it('told to stop, it says why', async () => {
  const { outcome } = running()
  await turn()
  service.abort(new Error('the service shuts down'))
  await expect(outcome).rejects.toThrow('the service shuts down')
})
