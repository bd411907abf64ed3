// State that survives: what `handover` returns in the old generation is `inherited` in the new one.
//   node examples/state.mjs
import http from 'node:http'
import { shellflip } from '@shellflip/node'

const service = await shellflip({ handover: () => ({ visits, since }) })
let { visits, since } = service.inherited ?? { visits: 0, since: new Date() }

const server = http.createServer((_request, response) => {
  visits++
  response.end(`${visits} visits since ${since.toISOString()}, generation ${service.generation}\n`)
})

// Work in the background belongs to one generation at a time: begin after ready(), end when draining begins.
const { address, port } = await service.listen(server, { host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
await service.ready()
const report = setInterval(() => console.log(`${visits} visits`), 10_000)
service.signal.addEventListener('abort', () => clearInterval(report))

console.log(`generation ${service.generation} (pid ${process.pid}) serves http://${address}:${port}`)
