// The longest stall of the old generation's event loop during a restart, with a small and with a large heap. Beside it, in
// the same run: an idle window of the same length, and one in which this process starts the same program, since a machine
// with few cores stalls the one for the other anyway.
import { setTimeout as sleep } from 'node:timers/promises'
import { Connection } from '../__test__/support/load/http1.mjs'
import { Program } from '../__test__/support/load/program.mjs'
import { target } from '../__test__/support/load/target.mjs'
import { requestRestart } from './lib/coordination.mjs'
import { row } from './lib/measure.mjs'

const WINDOW_MS = 500
const DEADLINE_MS = 60_000
const BUDGET_MS = 5

async function ask(connection, path) {
  return JSON.parse((await connection.request(path, { deadlineMs: DEADLINE_MS })).body)
}

/** The longest stall within the window while `body` runs, asked of one generation over its own connection. */
async function stallDuring(connection, body) {
  await ask(connection, '/stats')
  await Promise.all([body(), sleep(WINDOW_MS)])
  return (await ask(connection, '/stats')).stallMs
}

async function startAnother() {
  const another = await Program.start('bench/programs/heap.mjs')
  return another.stop()
}

async function stalls(megabytes, rounds) {
  const service = await Program.start('bench/programs/heap.mjs', { nodeArgs: ['--max-old-space-size=6000'] })
  const samples = { idle: [], another: [], restart: [] }
  try {
    for (let round = 0; round < rounds; round++) {
      const connection = await Connection.open(target(service.address))
      const { pid } = await ask(connection, `/grow/${megabytes}`)
      samples.idle.push(await stallDuring(connection, async () => {}))
      samples.another.push(await stallDuring(connection, startAnother))
      samples.restart.push(await stallDuring(connection, () => requestRestart(service.socket)))
      connection.close()
      await service.gone(pid)
    }
  } finally {
    await service.stop()
  }
  return samples
}

export async function measure({ rounds }) {
  const rows = []
  for (const megabytes of [50, 2000]) {
    const { idle, another, restart: ours } = await stalls(megabytes, rounds(7))
    const what = `event-loop stall of the old generation, heap of ${megabytes} MB`
    const budget = { of: 'difference', atMost: BUDGET_MS }
    rows.push(
      row({ what, unit: 'ms', ours, other: idle, against: 'idle', budget }),
      row({ what: 'the same, beside another start', unit: 'ms', ours, other: another, against: 'another start' }),
    )
  }
  return rows
}
