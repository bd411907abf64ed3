// The application the other examples serve. It knows nothing of restarts: an ordinary request handler.
//   /echo/<token>    one line: token, pid, generation
//   /slow/<token>    the same, after 1.5 s
//   /stream/<token>  20 numbered lines in 3 s, then that line
//   /stats           the longest event-loop stall, in ms, since the last time somebody asked
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

const RESOLUTION_MS = 1

export function application({ generation }) {
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  loop.enable()

  function stats() {
    const stallMs = Math.max(0, loop.max / 1e6 - RESOLUTION_MS)
    loop.reset()
    return `${JSON.stringify({ pid: process.pid, generation, stallMs })}\n`
  }

  async function stream(response, token, signature) {
    for (let line = 0; line < 20; line++) {
      response.write(`${token} ${line}\n`)
      await sleep(150)
    }
    response.end(signature)
  }

  return async function handle(request, response) {
    const [, route, token = ''] = request.url.split('/')
    const signature = `${token} ${process.pid} ${generation}\n`
    response.setHeader('content-type', 'text/plain')
    if (route === 'echo') return response.end(signature)
    if (route === 'slow') return sleep(1500).then(() => response.end(signature))
    if (route === 'stream') return stream(response, token, signature)
    if (route === 'stats') return response.end(stats())
    response.statusCode = 404
    response.end('not found\n')
  }
}
