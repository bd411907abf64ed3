/** `shellflip run` as the first process of a container: PID 1 of a pid namespace. */
import { expect, it, onTestFinished } from 'vitest'
import { NONE } from './support/load/counters.mjs'
import { startLoad } from './support/load/load.mjs'
import { Program } from './support/load/program.mjs'
import { target } from './support/load/target.mjs'
import { needsRoot } from './support/privileges'
import { childOf, processes, until, zombies } from './support/processes'
import { run, shellflip } from './support/run'
import { start } from './support/spawn'

/** What a container runtime does, as far as it matters here: whatever runs in it ends with its first process. */
const CONTAINER = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child=SIGTERM']
const INSIDE = [...CONTAINER.slice(1), shellflip, 'run', '--', process.execPath]

const RESTARTS = 20
const ANSWERS = 200

needsRoot()

it('twenty restarts under load as PID 1: no request fails, no zombie stays', { timeout: 120_000 }, async () => {
  const program = await Program.start('examples/http.mjs', { front: [...CONTAINER, shellflip, 'run', '--'] })
  onTestFinished(() => program.kill())
  const first = childOf(program.pid)
  const load = startLoad(target(program.address))
  // Pids are those inside: the first generation's is not known outside.
  let pid = 0
  for (let generation = 2; generation <= RESTARTS + 1; generation++) {
    const outcome = await program.restart()
    expect(outcome).toMatchObject({ ok: true, generation })
    if (outcome.ok) pid = outcome.pid
    await load.answeredBy(pid, ANSWERS)
  }
  await load.stop()
  expect({ ...load.counters.failures(), details: load.counters.details }).toEqual({ ...NONE, details: [] })

  const children = () => processes().filter(({ parent }) => parent === first.pid)
  await until(
    () => children().length === 1,
    () => JSON.stringify(children()),
    45_000,
  )
  expect(zombies(first.pid)).toEqual([])
  process.kill(first.pid, 'SIGTERM')
  await program.ended
})

it.each([
  ['process.exit(5)', 5],
  ["process.kill(process.pid, 'SIGKILL')", 137],
])('its exit status is the service’s: %s gives %i', async (code, status) => {
  const outcome = await run(CONTAINER[0] ?? '', [...INSIDE, '-e', code])
  expect(outcome).toMatchObject({ code: status, signal: null })
})

it('orphans of children are reaped', async () => {
  const service = start('leaves-orphans.mjs', { file: CONTAINER[0], execArgv: INSIDE })
  await service.event('orphans')
  const first = childOf(service.pid)
  const children = () => processes().filter(({ parent }) => parent === first.pid)
  await until(
    () => children().length === 1,
    () => JSON.stringify(children()),
  )
  process.kill(first.pid, 'SIGTERM')
  expect(await service.firstExit).toMatchObject({ code: 0 })
})
