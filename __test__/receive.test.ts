/** What the new generation hears and says outside of the service, with real processes. */
import { expect, it } from 'vitest'
import { start } from './support/spawn'

it.each([
  ['before', 4],
  ['after', 4],
  ['half', 4],
  ['never', 4],
  ['before', 0],
])('receiveFromOldProcess() read %s shellflip(), ready(): %d MiB', async (reads, megabytes) => {
  const service = start('receives.mjs', { env: { READS: reads, MEGABYTES: String(megabytes) } })
  expect(await service.event('ready')).toMatchObject({ first: true, again: true, received: null })
  const { pid } = await service.restart()
  const received = reads === 'never' ? null : megabytes * 2 ** 20
  expect(await service.event('ready')).toMatchObject({ pid, first: false, again: true, received })
  await service.end(pid)
})

it('an error before shellflip() is told to whoever asked for the restart', async () => {
  const service = start('throws-before-shellflip.mjs')
  await service.event('ready')
  const { code, stderr, stdout } = await service.cli('restart')
  expect(code).not.toBe(0)
  expect(stdout + stderr).toMatch(/generation 2 exited with code 1 while starting: Error: the database is gone/)
})
