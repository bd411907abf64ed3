// The server of bun-plain.mjs with the service.
import { shellflip } from '@shellflip/node'
import { serve } from '@shellflip/node/bun'

const service = await shellflip()
const server = serve(service, { hostname: '127.0.0.1', port: 0, fetch: () => new Response('hello\n') })
await service.ready()
console.log(`generation ${service.generation} (pid ${process.pid}) serves ${server.url.origin}`)
