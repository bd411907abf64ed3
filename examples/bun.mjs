// Bun's own server, replaced without a client noticing. Bun only:
//   bun examples/bun.mjs
//   bunx shellflip restart --socket <the path it prints>
import { shellflip } from '@shellflip/node'
import { serve } from '@shellflip/node/bun'

const service = await shellflip()

function stream(token, signature) {
  return async function* () {
    for (let line = 0; line < 20; line++) {
      yield `${token} ${line}\n`
      await Bun.sleep(150)
    }
    yield signature
  }
}

const server = serve(service, {
  hostname: '127.0.0.1',
  port: process.env.PORT ?? 3000,
  async fetch(request) {
    const [, route, token = ''] = new URL(request.url).pathname.split('/')
    const signature = `${token} ${process.pid} ${service.generation}\n`
    if (route === 'echo') return new Response(signature)
    if (route === 'slow') return Bun.sleep(1500).then(() => new Response(signature))
    if (route === 'stream') return new Response(stream(token, signature)())
    return new Response('not found\n', { status: 404 })
  },
})
await service.ready()

console.log(`generation ${service.generation} (pid ${process.pid}) serves ${server.url.origin}`)
console.log(`coordination socket: ${service.status().socket}`)
