/**
 * SIGKILL of one process at any moment of a restart under `shellflip run`: then the service serves, as a whole and under run
 * if that lives, or all of it has ended. What must come of which moment is in run-killed.test.ts; these are the moments
 * between.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { askRestart } from './support/generations'
import { get } from './support/http'
import { alive, look, type Process, until } from './support/processes'
import { shellflip } from './support/run'
import { type Said, type Service, start } from './support/spawn'

/** From when there is a launcher. Its work takes some 3 ms, and all of a restart 60 to 100. */
const MOMENTS_MS = [0, 0.3, 0.6, 0.9, 1.2, 1.5, 2, 4, 20, 60]

/** Finds the victim among the processes of the service; whoever is known beforehand is not looked for, which takes time. */
const victims: Record<string, (service: Service, first: number) => number | undefined> = {
  'the old generation': (_, first) => first,
  'the new generation': (service, first) =>
    find(service, ({ pid, command }) => pid !== service.pid && pid !== first && command.includes('serves.mjs')),
  'the launcher': (service) => find(service, ({ command }) => command === 'shellflip-launcher'),
  'run itself': (service) => service.pid,
}

const find = (service: Service, wanted: (found: Process) => boolean) => service.processes().find(wanted)?.pid

it.each(Object.keys(victims))('%s: it serves as a whole, or has ended', { timeout: 180_000 }, async (who) => {
  for (const moment of MOMENTS_MS) {
    const service = start('serves.mjs', { file: shellflip, execArgv: ['run', '--', process.execPath] })
    const { pid: first } = await service.event('ready')
    let over = false
    const asked = askRestart(service).finally(() => {
      over = true
    })
    // On a slow machine all of it may be over before there was a look.
    while (!over && children(first).length === 0) await setImmediate()
    for (const end = performance.now() + moment; performance.now() < end; ) {
      // Timers are not that exact.
    }
    const victim = victims[who]?.(service, first)
    if (victim !== undefined && alive(victim)) process.kill(victim, 'SIGKILL')
    await asked
    await expectSound(service, victim === service.pid, `${who}, after ${moment} ms`)
  }
})

/** Asserts that the service serves, restarts and ends, under run unless that was `killed`; or that nothing of it is left. */
async function expectSound(service: Service, killed: boolean, when: string): Promise<void> {
  const about = () => `${when}:\n${JSON.stringify(service.everyProcess(), null, 1)}\n${service.output.text()}`
  const whole = () => {
    const [only, ...others] = service.processes().filter(({ pid }) => pid !== service.pid)
    // A launcher, or what it has created and is no program yet, may still come to nothing.
    const decided = only?.command !== 'shellflip-launcher'
    const fits = only && decided && others.length === 0 && (killed || look(only.pid)?.parent === service.pid)
    return fits && alive(service.pid) !== killed ? only.pid : undefined
  }
  await until(() => whole() !== undefined || service.processes().length === 0, about)
  const pid = whole()
  if (pid === undefined) return
  // Its port is its own if the old one died before it had handed over the listener.
  const ready = () => said(service, 'ready').find((each) => each.pid === pid)
  await until(() => ready() !== undefined, about)
  const port = Number(ready()?.port)
  expect(JSON.parse((await get({ port })).body), about()).toMatchObject({ pid })
  const next = await service.restart()
  expect(JSON.parse((await get({ port })).body), about()).toMatchObject({ pid: next.pid })
  if (killed) return service.end(next.pid)
  service.signal('SIGTERM')
  expect(await service.firstExit, about()).toEqual({ code: 0, signal: null })
  await service.clean()
}

/** Every such event of any generation. */
function said(service: Service, event: string): Said[] {
  const lines = service.output.lines.filter((line) => line.startsWith('{'))
  return lines.map((line) => JSON.parse(line) as Said).filter((each) => each.event === event)
}

/** What that process has started and what still is its child. */
function children(pid: number): string[] {
  const file = (thread: string) => {
    try {
      return readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim()
    } catch {
      // It has ended.
      return ''
    }
  }
  try {
    return readdirSync(`/proc/${pid}/task`).map(file).filter(Boolean)
  } catch {
    return []
  }
}
