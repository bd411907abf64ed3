// An HTTP server that is replaced without a client noticing.
//   node examples/http.mjs
//   npx shellflip restart --socket <the path it prints>
import http from 'node:http'
import { shellflip } from '@shellflip/node'
import { application } from './app.mjs'

const service = await shellflip()
const server = http.createServer(application(service))

const { address, port } = await service.listen(server, { host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
await service.ready()

console.log(`generation ${service.generation} (pid ${process.pid}) serves http://${address}:${port}`)
console.log(`coordination socket: ${service.status().socket}`)
