// Requests per second of a server with the service against the same server without. Both run all the time; one is asked.
import { Program } from '../__test__/support/load/program.mjs'
import { hammer } from './lib/hammer.mjs'
import { alternate, row } from './lib/measure.mjs'

const ROUND_MS = 1500

export async function measure({ rounds }) {
  const budget = { of: 'ratio', atLeast: 0.99 }
  return [await compare({ what: 'requests per second with the service', rounds, budget })]
}

/** One row: `service` beside `plain`, programs of bench/programs, run by this Node or by `runtime`. */
export async function compare({ what, rounds, budget, service = 'service', plain = 'plain', runtime }) {
  const start = (name) => Program.start(`bench/programs/${name}.mjs`, { runtime })
  const programs = await Promise.all([service, plain].map(start))
  const [ours, others] = programs.map(({ address }) => Number(new URL(address).port))
  try {
    for (const port of [ours, others]) await hammer(port, ROUND_MS)
    const samples = await alternate(rounds(20), {
      ours: () => hammer(ours, ROUND_MS),
      other: () => hammer(others, ROUND_MS),
    })
    return row({ what, unit: '/s', ...samples, against: 'plain server', budget })
  } finally {
    await Promise.all(programs.map((program) => program.stop()))
  }
}
