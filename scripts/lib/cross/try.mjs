// Runs a service of the installed package under load, and restarts it. Laid into the folder of `npm run cross:test` and
// run by the platform's own Node there; it needs nothing but that folder. Arguments: the platform's name, and `emulated` if
// its processor is.
import { spawnSync } from 'node:child_process'
import { renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { KINDS } from './__test__/support/load/clients.mjs'
import { startLoad } from './__test__/support/load/load.mjs'
import { Program } from './__test__/support/load/program.mjs'
import { target } from './__test__/support/load/target.mjs'

const [platform, emulated] = process.argv.slice(2)
const native = dirname(createRequire(import.meta.url).resolve(`@shellflip/node-${platform}/package.json`))

function check(holds, what) {
  if (!holds) throw new Error(what)
}

// An executable of this system, not a file that fell out of its package: with no old generation it has nothing to do.
const launcher = join(native, 'shellflip-launcher')
const alone = spawnSync(launcher, { stdio: 'ignore' })
check(alone.status === 1, `the launcher alone ended with ${alone.error ?? alone.signal ?? alone.status}`)

/** An emulated processor is slower by 10 or more: what would keep a real one busy would starve it, and be no test of ours. */
const gentle = Object.entries(KINDS).map(([name, kind]) => [
  name,
  { ...kind, count: kind.count / 4, thinkMs: kind.thinkMs.map((ms) => (ms < 1000 ? ms * 10 : ms)) },
])

const program = await Program.start('examples/http.mjs')
const load = startLoad(target(program.address), emulated ? Object.fromEntries(gentle) : KINDS)
try {
  let { pid } = program
  for (const generation of [2, 3]) {
    await load.answeredBy(pid, 20)
    // Once by the file that lies there, once by what is in the addon alone.
    if (generation === 3 && process.platform === 'linux') renameSync(launcher, `${launcher}.away`)
    const outcome = await program.restart()
    check(outcome.ok, `restart: ${outcome.message}`)
    check(outcome.generation === generation, `generation ${outcome.generation} and not ${generation}`)
    await load.answeredBy(outcome.pid, 20)
    await program.gone(pid)
    pid = outcome.pid
  }
  await load.stop()
  const { answered, failed, details } = load.counters
  check(failed === 0, `${failed} of ${answered} requests failed: ${JSON.stringify(details)}`)
  await program.stop()
  check(program.processes().length === 0, `still running: ${program.processes()}`)
  console.log(`${platform}: 2 restarts, ${answered} requests, 0 failed`)
} catch (error) {
  console.error(`the service said:\n${program.output.join('\n')}`)
  await program.kill()
  throw error
}
