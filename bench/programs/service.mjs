// The server of plain.mjs with the service.
import http from 'node:http'
import { shellflip } from '@shellflip/node'

const service = await shellflip()
const server = http.createServer((_request, response) => response.end('hello\n'))
const { port } = await service.listen(server, { host: '127.0.0.1', port: 0 })
await service.ready()
console.log(`generation ${service.generation} (pid ${process.pid}) serves http://127.0.0.1:${port}`)
