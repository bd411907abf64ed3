// The package as its users get it.
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { hasInterpreter, staysLoaded } from '../scripts/lib/elf.mjs'
import { linkTypes } from './support/consumer'
import { install, type Packed, pack, platformFolder, sharedDirectory } from './support/install'
import { alive, processes } from './support/processes'
import { node, root, run } from './support/run'
import { ask, silentService } from './support/silent'

const directory = sharedDirectory()
const consumer = join(directory, 'consumer')
const without = join(directory, 'without')
const platform = platformFolder()
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const platformManifest = JSON.parse(readFileSync(join(platform, 'package.json'), 'utf8'))

let main: Packed
let native: Packed

beforeAll(async () => {
  main = await pack(root, join(directory, 'main'))
  native = await pack(platform, join(directory, 'native'))
  await install(consumer, main.filename, native.filename)
  await install(without, main.filename)
}, 120_000)

/** Writes a file into the consumer's folder and runs it by Node. */
function script(name: string, text: string, folder = consumer) {
  writeFileSync(join(folder, name), text)
  return node([name], { cwd: folder })
}

describe('contents', () => {
  test('the main package: compiled JavaScript, types and documents, nothing else', () => {
    const paths = main.files.map(({ path }) => path)
    const documents = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']
    expect(paths).toEqual(
      expect.arrayContaining([
        ...documents,
        ...['dist/index.js', 'dist/index.mjs', 'dist/index.d.ts', 'dist/index.d.mts', 'dist/cli.js'],
        ...['dist/native/binding.cjs', 'dist/native/binding.d.cts'],
      ]),
    )
    const foreign = paths.filter(
      (path) => !documents.includes(path) && !/^dist\/[\w/.-]+\.(d\.)?[cm]?[jt]s$/.test(path),
    )
    expect(foreign).toEqual([])
    expect(main.size).toBeLessThan(112_000)
  })

  test('the platform package: every file it lists, programs executable, static on Linux', async () => {
    const modes = new Map(native.files.map(({ path, mode }) => [path, mode]))
    expect([...modes.keys()].sort()).toEqual(['LICENSE', 'README.md', 'package.json', ...platformManifest.files].sort())
    for (const program of ['shellflip', 'shellflip-launcher']) {
      expect(modes.get(program), program).toBe(0o755)
      if (process.platform === 'linux') {
        expect(hasInterpreter(readFileSync(join(platform, program))), `${program} needs a dynamic linker`).toBe(false)
      }
    }
    expect(native.size).toBeLessThan(3_000_000)
  })

  test.runIf(process.platform === 'linux')('the addon stays loaded under the threads that it started', () => {
    expect(staysLoaded(readFileSync(join(platform, platformManifest.main)))).toBe(true)
    expect(staysLoaded(readFileSync(process.execPath))).toBe(false)
  })

  test('no runtime dependency, no script that runs at installation', () => {
    expect(manifest.dependencies ?? {}).toEqual({})
    expect(manifest.peerDependencies ?? {}).toEqual({})
    for (const { scripts = {} } of [manifest, platformManifest]) {
      expect(Object.keys(scripts).filter((name) => /^(pre|post)?install$|^prepare$|prepublish/.test(name))).toEqual([])
    }
  })

  test('every platform package has the version, licence and engines of the main one', () => {
    for (const key of ['version', 'license', 'engines']) expect(platformManifest[key]).toEqual(manifest[key])
    expect(platformManifest.name).toMatch(new RegExp(`^${manifest.name}-`))
  })

  test('the lockfile names no registry host', () => {
    expect(readFileSync(join(root, 'package-lock.json'), 'utf8')).not.toContain('"resolved": "http')
  })
})

describe('loading', () => {
  test('import and require give one instance, with the same names', async () => {
    const { code, stderr } = await script(
      'both.mjs',
      `import assert from 'node:assert'
       import { createRequire } from 'node:module'
       import * as imported from '@shellflip/node'
       import { shellflip, ShellflipError } from '@shellflip/node'
       const required = createRequire(import.meta.url)('@shellflip/node')
       assert.equal(shellflip, required.shellflip)
       assert.equal(ShellflipError, required.ShellflipError)
       const names = (from) => Object.keys(from).filter((name) => !['default', 'module.exports', '__esModule'].includes(name)).sort()
       assert.deepEqual(names(imported), names(required))
       for (const name of names(imported)) assert.equal(imported[name], required[name], name)`,
    )
    expect(stderr).toBe('')
    expect(code).toBe(0)
  })

  test('Jest loads it', async () => {
    writeFileSync(
      join(consumer, 'smoke.test.js'),
      `const { shellflip } = require('@shellflip/node')
       const http = require('node:http')
       test('an inert service listens and drains under Jest', async () => {
         const service = await shellflip({ enabled: false, exit: false, shutdownSignals: [] })
         const server = http.createServer((request, response) => response.end('here'))
         const { port } = await service.listen(server, { host: '127.0.0.1' })
         await service.ready()
         expect(await (await fetch('http://127.0.0.1:' + port)).text()).toBe('here')
         expect(await service.shutdown()).toEqual({ cut: 0 })
       }, 60_000)`,
    )
    const { code, stderr } = await node([join(root, 'node_modules/jest/bin/jest.js'), '--rootDir', consumer, '--ci'], {
      cwd: consumer,
      deadlineMs: 60_000,
    })
    expect(code, stderr).toBe(0)
  }, 60_000)

  test('a TypeScript consumer compiles, strict and nodenext, from ESM and CommonJS', async () => {
    const body = `
       interface State { visits: number }
       async function main(): Promise<void> {
         const typed: Service<State> = await shellflip<State>({ handover: () => ({ visits: 1 }) })
         const service = await shellflip({ handover: async () => ({ visits: 1, since: new Date() }) })
         const since: Date | undefined = service.inherited?.since
         // @ts-expect-error: a state has what handover returns
         service.inherited?.nothing
         // @ts-expect-error: an option that does not exist
         await shellflip({ readyTimeout: 1 })
         service.on('restarted', ({ pid, generation }) => void [pid.toFixed(), generation.toFixed()])
         const { cut } = await service.closed
         const init: RestartConfigInit = { enabled: true, coordinationSocketPath: 'a.sock', exitOnError: false }
         const task: RestartTask = new RestartConfig(init).tryIntoRestartTask()
         const { pid } = await task.run()
         pid.toFixed()
         try { await service.restart() } catch (error) {
           if (error instanceof ShellflipError && error.code === 'ERR_SHELLFLIP_DRAINING') void [cut, since, typed]
         }
       }
       void main()`
    const names = '{ RestartConfig, type RestartConfigInit, type RestartTask, type Service, ShellflipError, shellflip }'
    writeFileSync(join(consumer, 'esm.mts'), `import ${names} from '@shellflip/node'\n${body}`)
    writeFileSync(join(consumer, 'cjs.cts'), `import ${names} from '@shellflip/node'\n${body}`)
    linkTypes(consumer)
    const { stdout } = await node(
      [
        join(root, 'node_modules/typescript/bin/tsc'),
        ...['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2023', '--module', 'nodenext'],
        ...['--types', 'node', 'esm.mts', 'cjs.cts'],
      ],
      { cwd: consumer, deadlineMs: 60_000 },
    )
    expect(stdout).toBe('')
  }, 60_000)

  test('without the platform package, importing works and shellflip() says what to install', async () => {
    const { stdout, stderr } = await script(
      'absent.mjs',
      `import { shellflip } from '@shellflip/node'
       await shellflip().catch((error) => console.log(error.code, error.message))`,
      without,
    )
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^ERR_SHELLFLIP_UNSUPPORTED .*npm install /)
    expect(stdout).toContain(platformManifest.name)
  })
})

describe('the command that npm installs', () => {
  const bin = (folder: string) => join(folder, 'node_modules/.bin/shellflip')
  const program = join(consumer, 'node_modules', platformManifest.name, 'shellflip')
  const noAddon = { NAPI_RS_NATIVE_LIBRARY_PATH: join(directory, 'missing.node') }

  /** The process that a shim runs the program in. */
  function programOf(shim: number): number {
    const found = processes().find(({ parent }) => parent === shim)
    if (found === undefined) throw new Error(`process ${shim} has no child`)
    return found.pid
  }

  test('says its version', async () => {
    const { code, stdout } = await run(bin(consumer), ['--version'])
    expect([code, stdout]).toEqual([0, `shellflip ${manifest.version}\n`])
  })

  test('is replaced by the native program: no Node process stays', async () => {
    const command = await ask(await silentService(join(directory, 'replaced.sock')), bin(consumer))
    expect(statSync(`/proc/${command.pid}/exe`).ino).toBe(statSync(program).ino)
  })

  test('where the addon cannot be loaded, runs the program and ends with its exit code', async () => {
    const socket = join(directory, 'nobody.sock')
    const { code, stderr } = await run(bin(consumer), ['status', '--socket', socket], {
      env: noAddon,
    })
    expect(stderr).toContain(socket)
    expect(code).toBe(3)
  })

  test('where the addon cannot be loaded, ends by the signal that ended the program', async () => {
    const command = await ask(await silentService(join(directory, 'killed.sock')), bin(consumer), noAddon)
    process.kill(programOf(command.pid), 'SIGKILL')
    expect(await command.ended).toEqual([null, 'SIGKILL'])
  })

  test('where the addon cannot be loaded, passes SIGTERM on', async () => {
    const command = await ask(await silentService(join(directory, 'ended.sock')), bin(consumer), noAddon)
    const below = programOf(command.pid)
    process.kill(command.pid, 'SIGTERM')
    await command.ended
    expect(alive(below)).toBe(false)
  })

  test('names what to install if there is no program', async () => {
    const { code, stderr } = await run(bin(without), ['status'])
    expect(code).toBe(1)
    expect(stderr).toContain(platformManifest.name)
  })

  test('says so if the program lost its x bit', async () => {
    chmodSync(program, 0o644)
    try {
      const { code, stderr } = await run(bin(consumer), ['status'])
      expect(code).toBe(1)
      expect(stderr).toContain(`chmod +x ${program}`)
    } finally {
      chmodSync(program, 0o755)
    }
  })
})
