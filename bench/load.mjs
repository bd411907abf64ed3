// Ten restarts under the load of `npm run demo`: what the clients lost.
import { setTimeout as sleep } from 'node:timers/promises'
import { startLoad } from '../__test__/support/load/load.mjs'
import { Program } from '../__test__/support/load/program.mjs'
import { target } from '../__test__/support/load/target.mjs'
import { row } from './lib/measure.mjs'

const BETWEEN_RESTARTS_MS = 2500

export async function measure({ rounds }) {
  const restarts = rounds(10)
  const service = await Program.start('examples/http.mjs')
  const load = startLoad(target(service.address))
  const restartMs = []
  try {
    await load.answeredBy(service.pid)
    for (let restart = 0; restart < restarts; restart++) {
      await sleep(BETWEEN_RESTARTS_MS)
      const outcome = await service.restart()
      if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`)
      restartMs.push(outcome.durationMs)
    }
    await sleep(BETWEEN_RESTARTS_MS)
  } finally {
    await load.stop()
    await service.stop()
  }
  const { unannounced, failed } = load.counters
  const none = { of: 'max', atMost: 0 }
  return [
    row({
      what: `requests lost in ${restarts} restarts under load`,
      unit: '',
      ours: [failed - unannounced],
      budget: none,
    }),
    row({ what: 'keep-alive connections closed unannounced', unit: '', ours: [unannounced], budget: none }),
    row({ what: 'a restart under load', unit: 'ms', ours: restartMs }),
  ]
}
