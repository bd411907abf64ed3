/** The old generation is stopped (SIGSTOP, a frozen container, a starved machine) beyond its own deadline for the new one. */
import { expect, it } from 'vitest'
import { eventOf, expectWhole, stop } from './support/generations'
import { standing } from './support/phases'
import { until } from './support/processes'
import { exitOf } from './support/reaper'

/** Longer than COMMIT has to be answered in. */
const PAUSE_MS = 5_500

it('in C: the new one served in time, so that the restart is through, and nothing that it accepted is lost', async () => {
  const old = await standing('C')
  const { service, pid, asked, second, goOn } = old
  await stop(pid)
  goOn()
  await eventOf(service, 'ready', 2)
  const over = performance.now() + PAUSE_MS
  await until(() => performance.now() > over, 'the deadline has passed', 2 * PAUSE_MS)
  process.kill(pid, 'SIGCONT')
  expect(await asked).toMatchObject({ code: 0, said: { ok: true, ...second } })
  expect(await exitOf(service, pid)).toMatchObject({ code: 0, signal: 0 })
  await expectWhole(old, second)
})
