/** What importing the package costs a program that may never call `shellflip()`. Times: `npm run bench -- loading`. */
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { node, root } from './support/run'

const index = join(root, 'dist/index.js')
const addon = join(
  root,
  'dist/native',
  readdirSync(join(root, 'dist/native')).find((name) => name.endsWith('.node')) ?? '',
)

/** What `program` prints as JSON. */
async function says(program: string, env: NodeJS.ProcessEnv = {}) {
  const { stdout, stderr } = await node(['--input-type=module', '-e', program], { env })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

/** Node's own modules, and the files, that `code` loads. */
function loads(code: string, env?: NodeJS.ProcessEnv): Promise<{ modules: string[]; files: string[] }> {
  return says(
    `import { createRequire } from 'node:module'
     const require = createRequire('${root}/')
     const before = new Set(process.moduleLoadList)
     ${code}
     const modules = process.moduleLoadList.filter((name) => !before.has(name))
     const addon = process.report.getReport().sharedObjects.filter((path) => path.endsWith('.node'))
     console.log(JSON.stringify({ modules, files: [...Object.keys(require.cache), ...addon] }))`,
    env,
  )
}

it('require() loads one file', async () => {
  expect((await loads("require('@shellflip/node')")).files).toEqual([index])
})

it('import loads one, which imports no other, and leaves the loader of CommonJS alone', async () => {
  expect((await loads("await import('@shellflip/node')")).files).toEqual([])
  expect(readFileSync(join(root, 'dist/node.mjs'), 'utf8')).not.toMatch(/^import|import\(/m)
})

it.each([
  ["const one = await import('@shellflip/node'); const other = require('@shellflip/node')", 'import first'],
  ["const other = require('@shellflip/node'); const one = await import('@shellflip/node')", 'require first'],
])('%s: one instance', async (code) => {
  const program = `
    import { createRequire } from 'node:module'
    const require = createRequire('${root}/')
    ${code}
    const inside = require('${root}/dist/errors.js').ShellflipError
    console.log(JSON.stringify([one.shellflip === other.shellflip, one.ShellflipError === inside]))`
  expect(await says(program)).toEqual([true, true])
})

it('and the addon where an old generation or a service manager left something: any of what the addon reads', async () => {
  const read = readFileSync(join(root, 'crates/core/src/environment.rs'), 'utf8')
  const names = [...read.matchAll(/^pub.*const \w+: &str = "(\w+)";$/gm)].map(([, name]) => String(name))
  expect(names).toHaveLength(8)
  const loaded = names.map((name) => loads("await import('@shellflip/node')", { [name]: '' }))
  expect((await Promise.all(loaded)).map(({ files }) => files)).toEqual(names.map(() => [addon]))
})

it('importing loads no socket, stream, thread or cluster module of Node', async () => {
  const heavy = /\b(net|http|http2|https|tls|dgram|cluster|worker_threads|stream|v8|dns)\b/
  const { modules } = await loads("await import('@shellflip/node')")
  expect(modules.filter((name) => heavy.test(name))).toEqual([])
  expect((await loads("await import('node:http')")).modules.filter((name) => heavy.test(name))).not.toEqual([])
})

it('costs at most 5 MB', async () => {
  const resident = async (code: string) => {
    const runs = [1, 2, 3].map(() => says(`${code}; console.log(process.memoryUsage.rss() / 2 ** 20)`))
    return Math.min(...(await Promise.all(runs)))
  }
  const bare = await resident('')
  expect(await resident("import '@shellflip/node'")).toBeLessThan(bare + 5)
})

it('import and require give the same names, and the same things by them', async () => {
  const program = `
    import { createRequire } from 'node:module'
    import * as byNode from '${root}/dist/node.mjs'
    import * as byOthers from '${root}/dist/index.mjs'
    const required = createRequire(import.meta.url)('${root}')
    const own = (names) => Object.keys(names).filter((name) => !['default', 'module.exports'].includes(name)).sort()
    console.log(JSON.stringify([byNode, byOthers, required].map(own)))
    console.log(JSON.stringify(own(required).filter((name) => byNode[name] !== required[name] || byOthers[name] !== required[name])))
    console.log(JSON.stringify(own(required).filter((name) => required[name].name !== name)))`
  const { stdout } = await node(['--input-type=module', '-e', program])
  const [names, different, misnamed] = stdout.split('\n', 3).map((line) => JSON.parse(line))
  expect(names[0].length).toBeGreaterThan(10)
  expect(names[1]).toEqual(names[0])
  expect(names[2]).toEqual(names[0])
  expect({ different, misnamed }).toEqual({ different: [], misnamed: [] })
})

it('a module that is in index.js is nowhere else: its file leads there, with every name', async () => {
  const program = `
    const fs = require('node:fs')
    const files = fs.readdirSync('${root}/dist').filter((name) => name.endsWith('.js'))
    const leading = files.filter((name) => fs.readFileSync('${root}/dist/' + name, 'utf8').includes("require('./index')"))
    const typed = (name) => [...fs.readFileSync('${root}/dist/' + name.replace('.js', '.d.ts'), 'utf8')
      .matchAll(/^export declare (?:const|function|class) (\\w+)/gm)].map(([, each]) => each).sort()
    const wrong = leading.filter((name) => Object.keys(require('${root}/dist/' + name)).sort().join() !== typed(name).join())
    const { ShellflipError } = require('${root}')
    const { invalidArgument } = require('${root}/dist/errors.js')
    console.log(JSON.stringify({ leading: leading.length, wrong, same: invalidArgument('') instanceof ShellflipError }))`
  const { stdout, stderr } = await node(['-e', program])
  expect(stderr).toBe('')
  const { leading, wrong, same } = JSON.parse(stdout)
  expect(leading).toBeGreaterThan(10)
  expect({ wrong, same }).toEqual({ wrong: [], same: true })
})

it('nothing of the package is loaded for the first time in a restart or a drain, when a deploy may have replaced it', async () => {
  const program = `
    const { shellflip } = require('${root}/dist/index.js')
    const { createServer } = require('node:http')
    shellflip({ socket: false, exit: false, supervisor: 'ignore' }).then(async (service) => {
      await service.listen(createServer(), { port: 0, host: '127.0.0.1' })
      await service.ready()
      if (service.generation > 1) return
      const before = new Set(Object.keys(require.cache))
      const { pid } = await service.restart()
      await service.closed
      // Not before: a new generation that ends while the old one lets go may be a restart that failed.
      process.kill(pid, 'SIGTERM')
      console.log(JSON.stringify([before.size, Object.keys(require.cache).filter((path) => !before.has(path))]))
    })`
  const { stdout } = await node(['-e', program])
  const [before, later] = JSON.parse(stdout)
  expect(before).toBeGreaterThan(20)
  expect(later).toEqual([])
})

it('what was left for this process is taken out of the environment at the import, and no later', async () => {
  const program = `
    import '@shellflip/node'
    import { execFileSync } from 'node:child_process'
    const native = execFileSync('/usr/bin/env', { encoding: 'utf8' })
    console.log(JSON.stringify([process.env.LISTEN_FDS ?? null, native.includes('LISTEN_'), native.includes('SHELLFLIP_G')]))`
  const env = { LISTEN_PID: '1', LISTEN_FDS: '1', SHELLFLIP_GENERATION: '7' }
  expect(await says(program, env)).toEqual([null, false, false])
})

it('what the application sets after the import is its own, though the addon is loaded then', async () => {
  const program = `
    import { shellflip } from '@shellflip/node'
    const { env } = process
    Object.assign(env, { LISTEN_PID: String(process.pid), LISTEN_FDS: '1', SHELLFLIP_GENERATION: '7' })
    const warnings = []
    process.on('warning', ({ message }) => warnings.push(message))
    const service = await shellflip({ socket: false, exit: false })
    const { generation } = service.status()
    await service.shutdown()
    console.log(JSON.stringify({ generation, warnings, set: [env.LISTEN_PID === String(process.pid), env.LISTEN_FDS, env.SHELLFLIP_GENERATION] }))`
  expect(await says(program)).toEqual({ generation: 1, warnings: [], set: [true, '1', '7'] })
})

it('an addon that lies beside a copy of the package, outside node_modules, is not loaded', async () => {
  const folder = temporaryDirectory()
  const platform = basename(addon, '.node').replace('shellflip.', 'node-')
  mkdirSync(join(folder, platform))
  cpSync(addon, join(folder, platform, basename(addon)))
  cpSync(join(root, 'dist'), join(folder, 'copy/dist'), { recursive: true, filter: (path) => !path.endsWith('.node') })
  const program = `
    const { shellflip } = require('${folder}/copy/dist/index.js')
    shellflip({ socket: false }).catch(({ code }) => console.log(JSON.stringify(code)))`
  const { stdout } = await node(['-e', program])
  expect(JSON.parse(stdout)).toBe('ERR_SHELLFLIP_UNSUPPORTED')
})
