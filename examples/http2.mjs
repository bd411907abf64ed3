// HTTP/2 over TLS. Draining, the old generation sends GOAWAY and finishes the streams that are open.
//   node examples/http2.mjs key.pem cert.pem
import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import { shellflip } from '@shellflip/node'
import { application } from './app.mjs'

const [key, cert] = process.argv.slice(2, 4).map((file) => readFileSync(file))
const service = await shellflip()
const server = http2.createSecureServer({ key, cert }, application(service))

const { address, port } = await service.listen(server, { host: '127.0.0.1', port: Number(process.env.PORT ?? 3443) })
await service.ready()

console.log(`generation ${service.generation} (pid ${process.pid}) serves h2://${address}:${port}`)
