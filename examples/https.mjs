// The same over TLS. The ticket keys are handed over too: clients resume their sessions with the new generation.
//   node examples/https.mjs key.pem cert.pem
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { shellflip } from '@shellflip/node'
import { application } from './app.mjs'

const [key, cert] = process.argv.slice(2, 4).map((file) => readFileSync(file))
const service = await shellflip()
const server = https.createServer({ key, cert }, application(service))

const { address, port } = await service.listen(server, { host: '127.0.0.1', port: Number(process.env.PORT ?? 3443) })
await service.ready()

console.log(`generation ${service.generation} (pid ${process.pid}) serves https://${address}:${port}`)
