/** The package, installed by npm, in whatever people make of it: a service restarts in each. */
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import { beforeAll, describe, expect, test } from 'vitest'
import { commonJs, ESM, expectRestart, linkTypes, startConsumer, TYPESCRIPT } from './support/consumer'
import { install, pack, platformFolder, sharedDirectory } from './support/install'
import { node, root } from './support/run'
import { start } from './support/spawn'

const directory = sharedDirectory()
const consumer = join(directory, 'consumer')
const native = join(consumer, 'node_modules/@shellflip', `node-${basename(platformFolder())}`)

beforeAll(async () => {
  const main = await pack(root, join(directory, 'main'))
  const platform = await pack(platformFolder(), join(directory, 'native'))
  await install(consumer, main.filename, platform.filename)
  linkTypes(consumer)
}, 120_000)

/** Runs a program of this repository's node_modules; fails the test unless it ends with 0. */
async function tool(entry: string, args: string[], cwd = consumer) {
  const { code, stdout, stderr } = await node([join(root, 'node_modules', entry), ...args], { cwd, deadlineMs: 90_000 })
  expect(code, stdout + stderr).toBe(0)
}

describe('a service restarts', () => {
  test('as an ES module', async () => {
    await expectRestart(startConsumer(consumer, 'server.mjs', ESM))
  })

  test('as CommonJS', async () => {
    await expectRestart(startConsumer(consumer, 'server.cjs', commonJs()))
  })

  test.each(['mts', 'cts'])(
    'compiled from strict TypeScript, nodenext, .%s',
    async (extension) => {
      writeFileSync(join(consumer, `typed.${extension}`), TYPESCRIPT)
      const options = ['--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node', '--esModuleInterop']
      await tool('typescript/bin/tsc', [...options, '--outDir', 'typed', `typed.${extension}`])
      const program = join(consumer, 'typed', `typed.${extension.replace('ts', 'js')}`)
      await expectRestart(start(program, { cwd: consumer }))
    },
    120_000,
  )

  test.each([
    ['esm', ['@shellflip/node']],
    ['cjs', ['@shellflip/node']],
    ['cjs', ['@shellflip/node-*', '*.node']],
  ] as const)('bundled by esbuild as %s, %j external', async (format, external) => {
    writeFileSync(join(consumer, 'bundled.ts'), TYPESCRIPT)
    const output = `bundle/server.${format === 'esm' ? 'mjs' : 'cjs'}`
    await build({
      ...{ entryPoints: ['bundled.ts'], outfile: output, absWorkingDir: consumer, format, platform: 'node' },
      ...{ bundle: true, external: [...external], minify: true, logLevel: 'error' },
    })
    await expectRestart(start(join(consumer, output), { cwd: consumer }))
  })

  test('asked for from a Jest test', async () => {
    writeFileSync(join(consumer, 'asked.mjs'), ESM)
    writeFileSync(
      join(consumer, 'restart.test.js'),
      `const { spawn } = require('node:child_process')
       const { once } = require('node:events')
       const { RestartCoordinationSocket } = require('@shellflip/node')
       test('the service restarts', async () => {
         const socket = require('node:path').join(process.env.TMPDIR, 'asked.sock')
         const child = spawn(process.execPath, ['asked.mjs'], { env: { ...process.env, SHELLFLIP_SOCKET: socket } })
         await once(child.stdout, 'data')
         const pid = await (await RestartCoordinationSocket.connect(socket)).sendRestartCommand()
         expect(pid).not.toBe(child.pid)
         expect(await once(child, 'exit')).toEqual([0, null])
         process.kill(pid, 'SIGTERM')
       }, 60_000)`,
    )
    const jest = start(join(root, 'node_modules/jest/bin/jest.js'), {
      args: ['--rootDir', consumer, '--ci', '--watchman=false', 'restart.test.js'],
      cwd: consumer,
    })
    expect((await jest.firstExit).code, jest.output.text()).toBe(0)
    await jest.clean()
  }, 90_000)

  test('as a single executable, node_modules beside it', async () => {
    const program = join(consumer, 'single')
    // What is inside can require only Node's own modules: the package is loaded from beside the program.
    const load = "require('node:module').createRequire(process.execPath)"
    writeFileSync(join(consumer, 'single.cjs'), commonJs(load))
    const config = { main: 'single.cjs', output: 'single.blob', disableExperimentalSEAWarning: true }
    writeFileSync(join(consumer, 'single.json'), JSON.stringify(config))
    const { code, stderr } = await node(['--experimental-sea-config', 'single.json'], { cwd: consumer })
    expect(code, stderr).toBe(0)
    copyFileSync(process.execPath, program)
    chmodSync(program, 0o755)
    const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'
    await tool('postject/dist/cli.js', ['single', 'NODE_SEA_BLOB', 'single.blob', '--sentinel-fuse', fuse])
    await expectRestart(start(null, { file: program, cwd: directory }))
  }, 180_000)

  test('whose native programs have lost their x bit: the addon carries what it starts', async () => {
    const programs = ['shellflip', 'shellflip-launcher'].map((name) => join(native, name))
    for (const program of programs) chmodSync(program, 0o644)
    try {
      await expectRestart(startConsumer(consumer, 'no-x-bit.mjs', ESM))
    } finally {
      for (const program of programs) chmodSync(program, 0o755)
    }
  })
})

/** A mount namespace of one's own, which some systems allow to root alone and macOS does not have. */
const APART = ['--user', '--map-root-user', '--mount']
const mayMount = spawnSync('unshare', [...APART, 'true']).status === 0

describe.runIf(mayMount)('on a file system mounted noexec', () => {
  /** Starts a program of the consumer's with `folders` of its mounted noexec, in a mount namespace of its own. */
  function startWithin(folders: string[], program: string[]) {
    const mounts = folders.map(
      (folder) => `mount --bind '${folder}' '${folder}'; mount -o remount,bind,noexec '${folder}'`,
    )
    const script = [`set -e`, ...mounts, `exec "$@"`].join('\n')
    const args = [...APART, 'sh', '-c', script, 'sh', process.execPath, ...program]
    return start(null, { file: 'unshare', execArgv: args, cwd: consumer })
  }

  test('an application restarts, if the platform package lies elsewhere', async () => {
    writeFileSync(join(consumer, 'noexec.mjs'), ESM)
    const elsewhere = join(directory, 'elsewhere')
    renameSync(native, elsewhere)
    symlinkSync(elsewhere, native)
    try {
      await expectRestart(startWithin([consumer], ['noexec.mjs']))
    } finally {
      unlinkSync(native)
      renameSync(elsewhere, native)
    }
  })

  test('the addon is refused, and so is the command, with what to do', async () => {
    writeFileSync(join(consumer, 'noexec.mjs'), ESM)
    const service = startWithin([consumer], ['noexec.mjs'])
    const { code, message } = await service.event('refused')
    expect(code).toBe('ERR_SHELLFLIP_UNSUPPORTED')
    expect(message).toMatch(/could not be loaded: .*\.node: .*noexec.* install node_modules on one mounted with exec/)
    await service.firstExit

    const command = startWithin([consumer], ['node_modules/@shellflip/node/dist/cli.js', 'status'])
    await command.line(/^shellflip: cannot run .*EACCES.* It must be on a file system mounted without noexec/)
    expect((await command.firstExit).code).toBe(1)
  })
})
