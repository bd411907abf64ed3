/** Threads and cluster workers share what a restart would replace: refused, with what to do instead. */
import { expect, it } from 'vitest'
import { start } from './support/spawn'

it('a worker thread and a cluster worker cannot be services, but may run inert ones', async () => {
  const service = start('within-workers.mjs')
  expect(await service.event('refused')).toMatchObject({
    ...{ kind: 'worker thread', code: 'ERR_SHELLFLIP_UNSUPPORTED', cut: 0 },
    message: expect.stringMatching(/works only in the main thread.*: call it there/),
  })
  expect(await service.event('refused')).toMatchObject({
    ...{ kind: 'cluster worker', code: 'ERR_SHELLFLIP_UNSUPPORTED', cut: 0 },
    message: expect.stringMatching(/does not work in a cluster worker.*: run the service as one process/),
  })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.clean()
})
