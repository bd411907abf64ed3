// Requests per second of a server with the service against the same server without. Both run all the time; one is asked.
import { Program } from '../__test__/support/load/program.mjs'
import { hammer } from './lib/hammer.mjs'
import { alternate, row } from './lib/measure.mjs'

const ROUND_MS = 1500

export async function measure({ rounds }) {
  const programs = await Promise.all(['service', 'plain'].map((name) => Program.start(`bench/programs/${name}.mjs`)))
  const [service, plain] = programs.map(({ address }) => Number(new URL(address).port))
  try {
    for (const port of [service, plain]) await hammer(port, ROUND_MS)
    const { ours, other } = await alternate(rounds(20), {
      ours: () => hammer(service, ROUND_MS),
      other: () => hammer(plain, ROUND_MS),
    })
    const what = 'requests per second with the service'
    return [row({ what, unit: '/s', ours, other, against: 'plain server', budget: { of: 'ratio', atLeast: 0.99 } })]
  } finally {
    await Promise.all(programs.map((program) => program.stop()))
  }
}
