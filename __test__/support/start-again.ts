/** What every runtime's command line must survive. */
import { expect } from 'vitest'
import { type StartOptions, start } from './spawn'

/** Asserts that a new generation has the arguments of the first, and the environment as that has edited it. */
export async function expectStartsAgain(options: StartOptions = {}): Promise<void> {
  const args = ['a b', '--flag', '']
  const service = start('prints-its-start.mjs', { args, env: { RELEASE: '1', GONE: 'x' }, ...options })
  const first = await service.event('started')
  expect(first).toMatchObject({ args, RELEASE: '1', GONE: 'x' })
  await service.event('ready')
  const { pid } = await service.restart()
  const { GONE, ...next } = await service.event('started')
  expect(next).toEqual({ ...first, GONE: undefined, pid, generation: 2, RELEASE: '2' })
  expect(GONE).toBeUndefined()
  await service.end(pid)
}
