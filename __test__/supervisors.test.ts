/** Real supervisors with `shellflip run` between them and the service, as docs/deploy/supervisors.md has it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { get } from './support/http'
import { gone, look, processes, until } from './support/processes'
import { names, needsItsUser, Supervised } from './support/supervisors'

/** What runs as a child of that process. */
const generations = (pid: number) => processes().filter(({ parent, state }) => parent === pid && state !== 'Z')

describe.each(names)('%s', (name) => {
  needsItsUser(name)

  it('three restarts, no second copy, a stop that drains, a start anew', { timeout: 60_000 }, async () => {
    const supervised = await Supervised.start(name, 'run')
    const ready = () => supervised.said('ready')
    const serving = async (count: number) => {
      await until(
        () => ready().length === count,
        () => `not ready:\n${supervised.service.output.text()}`,
        20_000,
      )
      return ready()[count - 1]!
    }
    const first = await serving(1)
    expect(first).toMatchObject({ generation: 1, supported: true })
    const watched = await supervised.watched()
    expect(look(watched)?.command).toMatch(/shellflip run /)

    let old = first.pid
    for (let generation = 2; generation <= 4; generation++) {
      const { code, stderr } = await supervised.cli('restart')
      expect(code, stderr).toBe(0)
      await gone(old)
      old = (await serving(generation)).pid
    }
    expect(await supervised.watched()).toBe(watched)
    expect(generations(watched).map(({ pid }) => pid)).toEqual([old])
    expect(ready().map(({ generation }) => generation)).toEqual([1, 2, 3, 4])

    const slow = get({ port: first.port ?? 0 }, '/slow')
    await until(() => supervised.said('asked').length === 1, 'it was not asked')
    const stopped = supervised.tell('stop')
    await supervised.draining()
    writeFileSync(join(supervised.directory, 'answer'), '')
    expect(JSON.parse((await slow).body)).toEqual({ pid: old, generation: 4 })
    const { code, stdout, stderr } = await stopped
    expect(code, stdout + stderr).toBe(0)
    await gone(watched)
    expect(supervised.said('drained').at(-1)).toMatchObject({ generation: 4, cut: 0 })
    await gone(old)
    expect(await supervised.endedClean()).toBe(true)

    expect((await supervised.tell('start')).code).toBe(0)
    expect(await serving(5)).toMatchObject({ generation: 1 })
    const before = await supervised.watched()
    expect((await supervised.cli('restart')).code).toBe(0)
    await serving(6)
    expect((await supervised.tell('restart')).code).toBe(0)
    const { pid, generation } = await serving(7)
    expect(generation).toBe(1)
    expect(await supervised.watched()).not.toBe(before)
    expect(generations(await supervised.watched()).map((each) => each.pid)).toEqual([pid])
    expect(look(before)).toBeUndefined()
    await supervised.tell('stop')
  })
})
