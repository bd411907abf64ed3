// Requests per second of a server with the service against the same server without. Both run all the time; one is asked.
// Two processes of one program differ by 2 %, whatever they do, so that many pairs are started, each for some short rounds.
import { Program } from '../__test__/support/load/program.mjs'
import { Hammer } from './lib/hammer.mjs'
import { alternate, row } from './lib/measure.mjs'

const PAIRS = 20
const ROUNDS = 8
const ROUND_MS = 120
/** The code is compiled by then. */
const WARM_UP_MS = 400

export async function measure({ rounds }) {
  const budget = { of: 'ratio', atLeast: 0.99 }
  return compare({ what: 'requests per second with the service', rounds, budget })
}

/**
 * Two rows, by the clock and by the processor time of the server: `service` beside `plain`, programs of bench/programs, run
 * by this Node or by `runtime`.
 */
export async function compare({ what, rounds, budget, service = 'service', plain = 'plain', runtime }) {
  const samples = { ours: [], other: [] }
  for (let pair = 0; pair < rounds(PAIRS); pair++) {
    const { ours, other } = await measurePair([service, plain], runtime)
    samples.ours.push(...ours)
    samples.other.push(...other)
  }
  const by = (figure) => ({ ours: samples.ours.map(figure), other: samples.other.map(figure) })
  const shared = { unit: '/s', against: 'plain server' }
  const rows = [row({ what, ...shared, ...by(({ perSecond }) => perSecond), budget })]
  const perProcessor = by(({ perProcessorSecond }) => perProcessorSecond)
  if (!perProcessor.ours.some(Number.isNaN)) {
    rows.push(row({ what: "the same, per second of the server's processor time", ...shared, ...perProcessor }))
  }
  return rows
}

async function measurePair(names, runtime) {
  const programs = await Promise.all(names.map((name) => Program.start(`bench/programs/${name}.mjs`, { runtime })))
  const hammers = []
  try {
    for (const program of programs) hammers.push(await Hammer.at(program))
    for (const hammer of hammers) await hammer.run(WARM_UP_MS)
    const [ours, other] = hammers
    return await alternate(ROUNDS, { ours: () => ours.run(ROUND_MS), other: () => other.run(ROUND_MS) })
  } finally {
    for (const hammer of hammers) hammer.close()
    await Promise.all(programs.map((program) => program.stop()))
  }
}
