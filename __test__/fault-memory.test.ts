/** Restarts that fail again and again cost nothing that lasts: descriptors, processes, threads, memory. */
import { expect, it } from 'vitest'
import { expectUnchanged, footprintAtRest } from './support/footprint'
import { askRestart } from './support/generations'
import { start } from './support/spawn'

const MIB = 2 ** 20

it('ten restarts that fail after a handover of 4 MiB leave nothing, and no memory', async () => {
  const service = start('fails-with-state.mjs', { execArgv: ['--expose-gc'] })
  const { pid } = await service.event('ready')
  const fail = async () => {
    expect(await askRestart(service)).toMatchObject({ code: 1, said: { code: 'ERR_SHELLFLIP_GENERATION_EXITED' } })
    await service.event('failed')
    const { rss, heapUsed, external } = await service.event('memory')
    return { rss: Number(rss), heapUsed: Number(heapUsed), external: Number(external) }
  }
  // The heap and the allocator find their size.
  for (let warm = 0; warm < 4; warm++) await fail()
  const before = { state: await footprintAtRest(service), memory: await fail() }
  for (let attempt = 1; attempt < 10; attempt++) await fail()
  const after = await fail()
  await expectUnchanged(service, before.state)
  // One state that stayed each time would be 40 MiB; what is freed the allocator may keep for the next one.
  expect(after.external - before.memory.external).toBeLessThan(MIB)
  expect(after.heapUsed - before.memory.heapUsed).toBeLessThan(MIB)
  expect(after.rss - before.memory.rss).toBeLessThan(32 * MIB)
  await service.end(Number(pid))
})
