// From the request for a restart to the first answer of the new generation, against a bare start of the same program:
// from spawning it to its first answer. No load; the same client asks again and again on new connections.
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { verify } from '../__test__/support/load/clients.mjs'
import { Connection } from '../__test__/support/load/http1.mjs'
import { Program } from '../__test__/support/load/program.mjs'
import { target } from '../__test__/support/load/target.mjs'
import { requestRestart } from './lib/coordination.mjs'
import { alternate, row } from './lib/measure.mjs'

const SCRIPT = 'examples/http.mjs'
const PAUSE_MS = 1
const DEADLINE_MS = 10_000

/** When the first answer came that another process than `old` gave. */
async function firstAnswer(address, old) {
  for (;;) {
    try {
      const connection = await Connection.open(target(address))
      const { body } = await connection.request('/echo/first', { close: true, deadlineMs: DEADLINE_MS })
      const now = performance.now()
      connection.close()
      if (verify(body, 'first', 'echo').pid !== old) return now
    } catch (error) {
      if (error.kind !== 'refused') throw error
    }
    await sleep(PAUSE_MS)
  }
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

async function bareStart() {
  const port = await freePort()
  const begun = performance.now()
  const program = new Program(SCRIPT, { env: { PORT: String(port) } })
  try {
    return (await firstAnswer(`http://127.0.0.1:${port}`, undefined)) - begun
  } finally {
    await program.stop()
  }
}

export async function measure({ rounds }) {
  const service = await Program.start(SCRIPT)
  let pid = service.pid
  async function restart() {
    const begun = performance.now()
    const [next, answered] = await Promise.all([requestRestart(service.socket), firstAnswer(service.address, pid)])
    await service.gone(pid)
    pid = next
    return answered - begun
  }
  try {
    const { ours, other } = await alternate(rounds(15), { other: bareStart, ours: restart })
    const what = 'first answer of the new generation, from the request'
    return [row({ what, unit: 'ms', ours, other, against: 'bare start', budget: { of: 'ratio', atMost: 1.25 } })]
  } finally {
    await service.stop()
  }
}
