// examples/http.mjs with a heap as large as wanted: /grow/<megabytes> fills it with live objects.
import http from 'node:http'
import { shellflip } from '@shellflip/node'
import { application } from '../../examples/app.mjs'

const NUMBERS_PER_MEGABYTE = 2 ** 17
const ballast = []

const service = await shellflip()
const handle = application(service)
const server = http.createServer((request, response) => {
  const [, route, megabytes] = request.url.split('/')
  if (route !== 'grow') return handle(request, response)
  while (ballast.length < Number(megabytes)) ballast.push(new Array(NUMBERS_PER_MEGABYTE).fill(ballast.length + 0.5))
  response.end(JSON.stringify({ pid: process.pid }))
})

const { address, port } = await service.listen(server, { host: '127.0.0.1', port: Number(process.env.PORT) })
await service.ready()
console.log(`generation ${service.generation} (pid ${process.pid}) serves http://${address}:${port}`)
