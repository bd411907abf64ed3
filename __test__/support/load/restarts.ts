/** Promise 6 of a program under load: it is restarted by the command line, and no client notices. */
import { expect } from 'vitest'
import { NONE } from './counters.mjs'
import { startLoad } from './load.mjs'
import type { Program } from './program.mjs'
import { target } from './target.mjs'

/** Requests that each generation answers before the next restart: half a second of load or more. */
const ANSWERS = 500

/** Restarts it under load, and expects that no client noticed and that nothing of the old ones is left. */
export async function restartUnderLoad(service: Program, cert?: string, restarts = 10) {
  const load = startLoad(target(service.address, cert))
  const pids = [service.pid]
  await load.answeredBy(service.pid, ANSWERS)
  for (let restart = 1; restart <= restarts; restart++) {
    const outcome = await service.restart()
    expect(outcome).toMatchObject({ ok: true, generation: restart + 1 })
    if (!outcome.ok) break
    pids.push(outcome.pid)
    await load.answeredBy(outcome.pid, ANSWERS)
  }
  await load.stop()
  const { counters } = load
  expect({ ...counters.failures(), details: counters.details }).toEqual({ ...NONE, details: [] })
  expect([...load.generations.keys()]).toEqual(pids)
  for (const pid of pids.slice(0, -1)) await service.gone(pid)
  expect(service.processes()).toEqual(pids.slice(-1))
  return counters
}
