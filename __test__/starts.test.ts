/** "This process again": real restarts of services that were started in every usual way. */
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { expectEveryServer } from './support/every-server'
import { descriptors, until } from './support/processes'
import { root } from './support/run'
import { start } from './support/spawn'

const TRICKY = ['two words', `'"$HOME"'`, 'ünï©ode ☃', '', '--flag=a b']
const fixture = (name: string) => join(root, '__test__/fixtures', name)

/** What says whether Node reads TypeScript by itself, as it does from 22.18 on; its types are those of Node 20. */
const { typescript = false } = process.features as { typescript?: string | false }
const stripped: [string, string, string[]][] = typescript ? [['TypeScript by itself', 'typescript.mts', []]] : []

it.each([
  ['a script', 'prints-its-start.mjs', ['--no-deprecation', '--stack-trace-limit=20']],
  [
    '--import tsx, TypeScript',
    'typescript.mts',
    ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href],
  ],
  ...stripped,
  ['node -e', null, ['-e', `import(${JSON.stringify(pathToFileURL(fixture('prints-its-start.mjs')).href)})`]],
])(
  '%s starts again with the same arguments, title and directory, and the changed environment',
  async (_, program, execArgv) => {
    // What -e is given as arguments begins at argv[1].
    const args = program === null ? ['script', ...TRICKY] : TRICKY
    const service = start(program, { execArgv, args, env: { RELEASE: '1', GONE: 'x' } })
    const first = await service.event('started')
    expect(first).toMatchObject({ generation: 1, args: TRICKY, execArgv, RELEASE: '1', GONE: 'x' })
    await service.event('ready')
    for (const generation of [2, 3]) {
      const { pid } = await service.restart()
      const { GONE, ...next } = await service.event('started')
      expect(next).toEqual({ ...first, GONE: undefined, pid, generation, RELEASE: '2' })
      expect(GONE).toBeUndefined()
      if (generation === 3) await service.end(pid)
    }
  },
)

describe.runIf('execve' in process)('a program that replaces itself by another (process.execve)', () => {
  it('is replaced once: what it has become is what starts again', async () => {
    const service = start('replaces-itself.mjs', { args: [fixture('prints-its-start.mjs'), 'a b'] })
    expect(await service.event('started')).toMatchObject({ generation: 1, args: ['a b'] })
    await service.event('ready')
    const { pid } = await service.restart()
    expect(await service.event('started')).toMatchObject({ pid, generation: 2, args: ['a b'] })
    await service.end(pid)
  })

  it('cannot be a new generation, since Node keeps nothing open that was handed over: the restart fails', async () => {
    const directory = temporaryDirectory()
    const program = join(directory, 'program')
    const node = `'${process.execPath}' '${fixture('replaces-itself.mjs')}'`
    writeFileSync(program, `#!/bin/sh\nshift\nexec ${node} "$@"\n`, { mode: 0o755 })
    const service = start('starts-a-program.mjs', { directory, env: { PROGRAM: program } })
    await service.event('ready')
    const { code, stderr } = await service.cli('restart')
    expect(code).toBe(1)
    expect(stderr).toContain('not restarted, the service goes on')
    expect(JSON.parse((await service.cli('status', ['--json'])).stdout)).toMatchObject({
      generation: 1,
      phase: 'ready',
    })
    await service.end(service.pid)
  })
})

it('servers of every kind are handed on without a warning of Node’s, deprecations to come included', async () => {
  const printed = await expectEveryServer(['--pending-deprecation', '--throw-deprecation', '--trace-warnings'])
  const others = printed.split('\n').filter((line) => !/^(\{.*\})?$/.test(line))
  expect(others).toEqual([])
})

it('a release switched by a symlink: the new one runs its code', async () => {
  const service = start('serves.mjs')
  const { directory } = service
  await service.event('ready')
  await service.end()

  for (const release of ['1', '2']) {
    mkdirSync(join(directory, release))
    const text = readFileSync(fixture('serves.mjs'), 'utf8').replace('./serve.mjs', fixture('serve.mjs'))
    writeFileSync(join(directory, release, 'app.mjs'), `${text}console.log('release ${release}')\n`)
  }
  symlinkSync('1', join(directory, 'current'))
  const current = join(directory, 'current')
  const switched = start(null, { execArgv: ['app.mjs'], cwd: current, env: { PWD: current } })
  await switched.line(/^release 1$/)
  symlinkSync('2', join(directory, 'next'))
  renameSync(join(directory, 'next'), current)
  const { pid } = await switched.restart()
  await switched.line(/^release 2$/)
  await switched.end(pid)
})

it('standard output that the new generation made non-blocking is so again when the old one has gone', async () => {
  const service = start('touches-stdout.mjs')
  await service.event('ready')
  const { pid } = await service.restart()
  await service.line(/^generation 2 prints$/)
  await service.firstExit
  const nonBlocking = () =>
    (Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/1`, 'utf8'))?.[1] ?? '0', 8) & 0o4000) !==
    0
  expect(descriptors(pid).get(1)).toMatch(/^(pipe|socket):/)
  await until(nonBlocking, 'standard output blocks')
  await service.end(pid)
})
