/** Steps of a restart under test, with fixtures that say where they are and go on when a file appears. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { get } from './http'
import { look, processes, until } from './processes'
import { startReaped } from './reaper'
import type { Said, Service, StartOptions } from './spawn'

/** Who answered. */
export interface Who {
  pid: number
  generation: number
}

/** A service whose first generation serves. */
export interface Serving {
  service: Service
  pid: number
  port: number
  /** Asks on both its listeners, which must agree; a fixture with `unix: true`. */
  ask(): Promise<Who>
}

/** Starts a fixture, all its processes reaped, and waits until it serves. */
export async function serving(program: string, options: StartOptions = {}): Promise<Serving> {
  const service = startReaped(program, options)
  const { pid, port } = await service.event('ready')
  const who = async (where: Parameters<typeof get>[0]): Promise<Who> => JSON.parse((await get(where, '/')).body)
  const ask = async () => {
    const found = await who({ port: Number(port) })
    expect(await who({ socketPath: join(service.directory, 'web.sock') })).toEqual(found)
    return found
  }
  expect(await ask()).toEqual({ pid, generation: 1 })
  return { service, pid: Number(pid), port: Number(port), ask }
}

/** Resolves with that event of that generation. */
export async function eventOf(service: Service, name: string, generation: number): Promise<Who> {
  for (;;) {
    const said: Said = await service.event(name)
    if (said.generation === generation) return { pid: said.pid, generation }
  }
}

/** Lets a fixture that waits for that file go on. */
export function tell(service: Service, file: string): void {
  writeFileSync(join(service.directory, file), '')
}

/** `shellflip restart --json`: how it ended, and what it said. */
export async function askRestart(service: Service, args: string[] = []) {
  const { code, stdout, stderr } = await service.cli('restart', ['--json', ...args])
  return { code, said: stdout === '' ? null : JSON.parse(stdout), stderr }
}

/** `shellflip status --json`. */
export async function status(service: Service) {
  return JSON.parse((await service.cli('status', ['--json'])).stdout)
}

/** Resolves once the service says that it is there in its restart. */
export async function inPhase(service: Service, phase: string): Promise<void> {
  for (;;) {
    const { restart } = await status(service)
    if (restart?.phase === phase) return
  }
}

/** The launcher of a generation that it still holds. */
export function launcherOf(pid: number): number {
  const launcher = look(look(pid)?.parent ?? 0)
  expect(launcher?.command).toBe('shellflip-launcher')
  return launcher?.pid ?? 0
}

/** Stops a process and waits until it is. */
export async function stop(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await until(() => look(pid)?.state === 'T', `${pid} stopped`)
}

/** Does something that this generation sees only when all of it is done: it looks after its files from time to time. */
export async function frozen<T>(pid: number, work: () => Promise<T>): Promise<T> {
  await stop(pid)
  try {
    return await work()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

/**
 * Asserts that this generation is the whole service: it answers on every listener and on the coordination socket, nothing
 * else of the service runs, and a restart works. Then ends it and asserts that nothing is left.
 */
export async function expectWhole({ service, ask }: Serving, { pid, generation }: Who): Promise<void> {
  const alone = () => service.processes().filter((found) => found.pid !== service.pid)
  const others = () => processes().filter((found) => found.group === service.pid && found.pid !== service.pid)
  await until(
    () => others().length === 1 && alone().length === 1,
    () => `one process, but there are ${JSON.stringify(others())}\n${service.output.text()}`,
  )
  expect(alone()[0]?.pid).toBe(pid)
  expect(await ask()).toEqual({ pid, generation })
  expect(await status(service)).toMatchObject({ pid, generation, phase: 'ready', draining: [] })
  const next = await service.restart()
  expect(next.generation).toBe(generation + 1)
  expect(await ask()).toEqual({ pid: next.pid, generation: next.generation })
  await service.end(next.pid)
}
