// Real processes, started by the command that an earlier one computed.
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import type { Launch } from '../src/command'

const run = promisify(execFile)
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'shellflip-command-')))
afterAll(() => rmSync(folder, { recursive: true }))

const fixture = join(__dirname, 'fixtures', 'print-command.cjs')
const code = `require(${JSON.stringify(fixture)})`
const project = join(__dirname, '..')
interface Printed {
  argv: string[]
  execArgv: string[]
  cwd: string
  title: string
  again: Launch & { code?: string; message?: string; phase?: string }
}

async function start(
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; file?: string; stdin?: string } = {},
) {
  const { cwd = project, env, file = process.execPath, stdin } = options
  const promise = run(file, args, { cwd, env: { ...process.env, PWD: cwd, ...env }, timeout: 20_000 })
  promise.child.stdin?.end(stdin)
  return JSON.parse((await promise).stdout) as Printed
}

/** What the launcher does, by other means. */
async function startAgain({ again }: Printed): Promise<Printed> {
  expect(again.code).toBeUndefined()
  const [argv0, ...args] = again.args
  const env = Object.fromEntries(
    again.environment.map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]),
  )
  const child = spawn(again.file, args, { argv0, cwd: again.cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  for await (const chunk of child.stdout) out += chunk
  return JSON.parse(out) as Printed
}

it.each([
  ['a plain script', [fixture]],
  ['a relative script', ['__test__/fixtures/print-command.cjs', 'x']],
  ['strange arguments', [fixture, 'two words', '"q"', 'ü🚀', '', '--', '-e', '--inspect']],
  ['flags of Node', ['--max-old-space-size=64', '--require', './__test__/fixtures/print-nothing.cjs', fixture]],
  ['--import tsx', ['--import', 'tsx', fixture, 'a']],
  ['-e', ['-e', code]],
  ['-e with arguments', ['-e', code, 'a', 'b c']],
  ['-e with flags behind it', ['-e', code, '--', '--flag', 'a']],
  ['--eval=', [`--eval=${code}`]],
  ['-p', ['-p', `${code}, ''`, 'a']],
  ['--input-type=module -e', ['--input-type=module', '-e', `import ${JSON.stringify(fixture)}`, 'a']],
  ['a title', ['-e', `process.title = 'a title'; ${code}`, 'a']],
  ['--title', ['--title=a title', '__test__/fixtures/print-command.cjs', 'a']],
])('%s: the second generation starts as the first, and would start the third so', async (_, args) => {
  const first = await start(args)
  const second = await startAgain(first)
  expect(second).toEqual(first)
})

it.each([[[]], [['main.js', '--flag']]])('a snapshot of a program with %j starts again', async (args) => {
  const blob = join(folder, 'program.blob')
  const main = `const { createRequire } = require('node:module')
    require('node:v8').startupSnapshot.setDeserializeMainFunction(() => createRequire('${fixture}')('${fixture}'))`
  writeFileSync(join(folder, 'snapshot.js'), main)
  await run(process.execPath, ['--snapshot-blob', blob, '--build-snapshot', join(folder, 'snapshot.js')])
  const first = await start(['--snapshot-blob', blob, ...args])
  expect(first.argv.slice(1)).toEqual(args)
  expect(await startAgain(first)).toEqual(first)
})

it('a script from standard input is refused', async () => {
  expect((await start([], { stdin: code })).again).toMatchObject({ code: 'ERR_SHELLFLIP_UNSUPPORTED' })
  expect((await start(['-', 'a'], { stdin: code })).again).toMatchObject({ code: 'ERR_SHELLFLIP_UNSUPPORTED' })
})

it('a worker thread and a cluster worker are refused', async () => {
  const thread = `new (require('node:worker_threads').Worker)(${JSON.stringify(fixture)})`
  expect((await start(['-e', thread])).again.message).toMatch(/worker thread/)
  const primary = `const cluster = require('node:cluster')
    cluster.setupPrimary({ exec: ${JSON.stringify(fixture)}, execArgv: [] })
    cluster.fork().on('online', function () { this.disconnect() })`
  expect((await start(['-e', primary])).again.message).toMatch(/cluster worker/)
})

it('a process under --watch is refused', async () => {
  const child = spawn(process.execPath, ['--watch', fixture], { stdio: ['ignore', 'pipe', 'ignore'] })
  let out = ''
  for await (const chunk of child.stdout) {
    out += chunk
    if (out.includes('}')) break
  }
  child.kill('SIGKILL')
  expect(out).toMatch(/--watch restarts this process itself/)
})

describe('releases behind a symlink', () => {
  /** Where releases lie, and `current` is the newest. */
  const releases = () => {
    const place = mkdtempSync(join(folder, 'releases-'))
    const current = join(place, 'current')
    const release = (name: string) => {
      mkdirSync(join(place, name))
      writeFileSync(join(place, name, 'server.js'), code)
      writeFileSync(join(place, name, 'early.cjs'), '')
      symlinkSync(join(place, name), join(place, 'next'))
      renameSync(join(place, 'next'), current)
    }
    release('1')
    return { place, current, release }
  }

  it('the second generation runs the new release, found through relative and absolute paths', async () => {
    const { place, current, release } = releases()
    const first = [
      await start(['-r', './early.cjs', 'server.js'], { cwd: current }),
      await start(['server'], { cwd: current }),
      await start([join(current, 'server.js')]),
      await start(['-e', `process.title = 't'; require('./server.js')`], { cwd: current }),
    ]
    release('2')
    rmSync(join(place, '1'), { recursive: true })
    const second = await Promise.all(first.map(startAgain))
    expect(second.map(({ cwd, argv }) => [cwd, argv[1]])).toEqual([
      [join(place, '2'), join(place, '2', 'server.js')],
      [join(place, '2'), join(place, '2', 'server')],
      [project, join(current, 'server.js')],
      [join(place, '2'), undefined],
    ])
    release('3')
    expect(await Promise.all(second.map(async (each) => (await startAgain(each)).cwd))).toEqual([
      join(place, '3'),
      join(place, '3'),
      project,
      join(place, '3'),
    ])
  })

  it('without PWD the release stays the one it was', async () => {
    const { current } = releases()
    const { again } = await start(['server.js'], { cwd: current, env: { PWD: undefined } })
    expect(again.cwd).toBe(realpathSync(current))
  })

  it('a PWD that names another directory counts for nothing', async () => {
    const { current } = releases()
    const { again } = await start(['server.js'], { cwd: current, env: { PWD: '/' } })
    expect(again.cwd).toBe(realpathSync(current))
  })
})

it('a program called through a symlink is called through it again', async () => {
  const link = join(folder, 'node-current')
  symlinkSync(process.execPath, link)
  expect((await start([fixture], { file: link })).again.file).toBe(link)
})

it('a directory deleted since is an error that names it', async () => {
  const gone = join(folder, 'deleted')
  mkdirSync(gone)
  const script = `require('node:fs').rmdirSync(${JSON.stringify(gone)}); ${code}`
  const { again } = await start(['-e', script], { cwd: gone })
  expect(again).toMatchObject({
    code: 'ERR_SHELLFLIP_SPAWN_FAILED',
    phase: 'starting',
    message: expect.stringContaining(gone),
  })
})
