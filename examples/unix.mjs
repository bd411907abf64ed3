// HTTP on a unix socket, behind a proxy of the same group. The path stays in place across restarts.
//   node examples/unix.mjs /tmp/app.sock
import http from 'node:http'
import { shellflip } from '@shellflip/node'
import { application } from './app.mjs'

const service = await shellflip()
const server = http.createServer(application(service))

const path = await service.listen(server, { path: process.argv[2] ?? 'app.sock', mode: 0o660 })
await service.ready()

console.log(`generation ${service.generation} (pid ${process.pid}) serves unix:${path}`)
