// The server of service.mjs without the service.
import { once } from 'node:events'
import http from 'node:http'

const server = http.createServer((_request, response) => response.end('hello\n'))
server.listen({ host: '127.0.0.1', port: 0 })
await once(server, 'listening')
console.log(`generation 1 (pid ${process.pid}) serves http://127.0.0.1:${server.address().port}`)
