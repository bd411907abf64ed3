/** Neighbouring generations of different releases: what both understand works, and what they do not is named. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { expectUnchanged, footprintAtRest } from './support/footprint'
import { get } from './support/http'
import { FRAMES, startNext } from './support/old-generation'
import { root } from './support/run'
import { start } from './support/spawn'

const preload = (name: string) => ['--require', join(root, '__test__/fixtures', name)]
const ask = async (port: unknown) => JSON.parse((await get({ port: Number(port) }, '/')).body)

/** This build twice, with other versions of the channel. */
const releases = (versions: string) =>
  start('serves.mjs', { execArgv: preload('speaks-versions.cjs'), env: { VERSIONS: versions } })

it.each([
  ['1-1 1-2 1-2', 'a newer one that understands the older'],
  ['1-2 1-1 1-2', 'an older one, and back'],
  ['2-3 1-2 1-1', 'ever older ones'],
])('channel versions %s: a restart into %s', async (versions) => {
  const service = releases(versions)
  const { port } = await service.event('ready')
  const second = await service.restart()
  expect(await ask(port)).toEqual({ pid: second.pid, generation: 2 })
  const third = await service.restart()
  expect(await ask(port)).toEqual({ pid: third.pid, generation: 3 })
  await service.gone(second.pid)
  await service.end(third.pid)
})

it.each([
  ['1-1 2-2', 'generation 2 understands version 2 of the channel, this one version 1'],
  ['3-4 1-2', 'generation 2 understands versions 1 to 2 of the channel, this one versions 3 to 4'],
])(
  'channel versions %s have nothing in common: the restart fails, the old one serves, nothing is left',
  async (versions, text) => {
    const service = releases(versions)
    const { pid, port } = await service.event('ready')
    const before = await footprintAtRest(service)
    for (let attempt = 0; attempt < 3; attempt++) {
      const { code, stdout } = await service.cli('restart', ['--json'])
      expect(code).toBe(1)
      const said = JSON.parse(stdout)
      expect(said).toMatchObject({ ok: false, code: 'ERR_SHELLFLIP_INHERITANCE' })
      expect(said.message).toContain(text)
      expect(said.message).toContain('stop and start the service')
      expect(await service.event('failed')).toMatchObject({ pid, code: 'ERR_SHELLFLIP_INHERITANCE' })
      await expectUnchanged(service, before)
      expect(await ask(port)).toEqual({ pid, generation: 1 })
    }
    await service.end(Number(pid))
  },
)

it('what a later release says besides is ignored by an old generation', async () => {
  const service = start('serves.mjs', { execArgv: preload('says-more.cjs') })
  const { port } = await service.event('ready')
  const { pid } = await service.restart()
  expect(await ask(port)).toEqual({ pid, generation: 2 })
  await service.end(pid)
})

describe('an old generation of a later release', () => {
  it('says more than a new one understands, which ignores it', async () => {
    const old = await startNext('serves.mjs', 2)
    old.send(200, 'said before hello')
    old.greet(1, 2)
    expect(JSON.parse((await old.frame(FRAMES.hello)).body)).toMatchObject({ version: 1, min: 1, generation: 2 })
    old.send(201, 'x'.repeat(100_000))
    expect(await old.ready).toBe('1')
    old.send(202)
    old.send(FRAMES.commit)
    await old.frame(FRAMES.serving)
    old.send(FRAMES.adopted)
    const [line] = await old.output.line(/^\{"event":"ready".*$/)
    const { pid, port } = JSON.parse(line)
    expect(pid).toBe(old.pid)
    expect(await ask(port)).toEqual({ pid, generation: 2 })
    process.kill(pid, 'SIGTERM')
    expect(await old.exit).toEqual({ code: 0, signal: null })
  })

  it('that says what is no frame: the new one ends and has served nobody', async () => {
    const old = await startNext('serves.mjs', 1)
    old.greet(1, 1)
    expect(await old.ready).toBe('1')
    old.send(FRAMES.commit, '', 0xffffffff)
    expect(await old.exit).toEqual({ code: 1, signal: null })
    expect(old.output.text()).not.toContain('"event":"ready"')
  })

  it('that understands no version of the new one is told so, and nobody is served', async () => {
    const old = await startNext('serves.mjs', 3)
    old.greet(2, 3)
    const { body } = await old.frame(FRAMES.failing)
    expect(body).toContain('the old generation understands versions 2 to 3 of the channel, this one version 1')
    expect(await old.exit).toEqual({ code: 1, signal: null })
    expect(old.output.text()).toContain('ERR_SHELLFLIP_INHERITANCE')
  })
})

describe('letting go, the last word of an old generation', () => {
  it('is not to be awaited of one of an earlier release: the new one has the service when it is adopted', async () => {
    const old = await startNext('serves.mjs', 1)
    old.greet(1, 1)
    await old.adopt()
    process.kill(old.pid, 'SIGTERM')
    await old.frame(FRAMES.shutdown)
    expect(await old.exit).toEqual({ code: 0, signal: null })
    expect(existsSync(old.socket)).toBe(false)
  })

  it('is awaited by one that is to end, and that then ends the service', async () => {
    const old = await startNext('serves.mjs', 1)
    old.greet(1, 1, ['lets-go'])
    await old.adopt()
    process.kill(old.pid, 'SIGTERM')
    old.send(FRAMES.letGo)
    expect(await old.exit).toEqual({ code: 0, signal: null })
    expect(existsSync(old.socket)).toBe(false)
  })

  it('is not awaited by the impatient: the files are left to the old one, who is told that the service ends', async () => {
    const old = await startNext('serves.mjs', 1)
    old.greet(1, 1, ['lets-go'])
    await old.adopt()
    const ended = new AbortController()
    void old.exit.then(() => ended.abort())
    // Several at once may be seen as one.
    while (!ended.signal.aborted) {
      process.kill(old.pid, 'SIGINT')
      await setTimeout(10)
    }
    expect(await old.exit).toEqual({ code: 130, signal: null })
    await old.frame(FRAMES.shutdown)
    expect(existsSync(old.socket)).toBe(true)
  })
})
