// The server of bun-service.mjs without the service.
const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('hello\n') })
console.log(`generation 1 (pid ${process.pid}) serves ${server.url.origin}`)
