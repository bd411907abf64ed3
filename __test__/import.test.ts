/** What importing the package costs a program that may never call `shellflip()`. Times: `npm run bench -- loading`. */
import { expect, it } from 'vitest'
import { node, root } from './support/run'

/** Node's modules that `code` loads. */
async function loads(code: string): Promise<string[]> {
  const program = `const before = new Set(process.moduleLoadList); ${code}
    console.log(JSON.stringify(process.moduleLoadList.filter((name) => !before.has(name))))`
  const { stdout, stderr } = await node(['--input-type=module', '-e', program])
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

it('importing loads no socket, stream, thread or cluster module of Node', async () => {
  const loaded = await loads(`await import('${root}/dist/index.mjs')`)
  expect(loaded).toContain('NativeModule os')
  expect(
    loaded.filter((name) => /\b(net|http|http2|https|tls|dgram|cluster|worker_threads|stream|v8|dns)\b/.test(name)),
  ).toEqual([])
})

it('nothing of the package is loaded for the first time in a restart or a drain, when a deploy may have replaced it', async () => {
  const program = `
    const { shellflip } = require('${root}/dist/index.js')
    const { createServer } = require('node:http')
    shellflip({ socket: false, exit: false }).then(async (service) => {
      await service.listen(createServer(), { port: 0, host: '127.0.0.1' })
      await service.ready()
      const before = new Set(Object.keys(require.cache))
      await service.shutdown()
      console.log(JSON.stringify([before.size, Object.keys(require.cache).filter((path) => !before.has(path))]))
    })`
  const { stdout } = await node(['-e', program])
  const [before, later] = JSON.parse(stdout)
  expect(before).toBeGreaterThan(20)
  expect(later).toEqual([])
})
