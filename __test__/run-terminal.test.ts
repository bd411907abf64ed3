/** Job control over generations: `shellflip run` in the foreground of a shell that a terminal is given to. */
import { expect, it } from 'vitest'
import { tell } from './support/generations'
import { get } from './support/http'
import { look, type Process, processes, until } from './support/processes'
import { root, shellflip } from './support/run'
import { start } from './support/spawn'

const CTRL_C = '\x03'
const CTRL_Z = '\x1a'

it('Ctrl-Z stops every generation and fg goes on with all, after restarts too; Ctrl-C ends', {
  timeout: 60_000,
}, async () => {
  // script(1) is what gives the shell a terminal.
  const service = start(null, {
    file: 'script',
    execArgv: ['-qec', 'bash --norc --noprofile --noediting -i', '/dev/null'],
    stdin: 'pipe',
  })
  service.input(`PS1=; stty -echo; echo shell $$\n`)
  await service.line(/shell \d+/)
  service.input(`${shellflip} run -- ${process.execPath} ${root}/__test__/fixtures/drains-until-told.mjs\n`)
  const first = await service.event('ready')
  const where = { port: Number(first.port) }
  const job = look(look(first.pid)?.parent ?? 0)
  expect(job?.command).toMatch(/shellflip run /)
  const all = (): Process[] => processes().filter(({ group }) => group === job?.pid)

  const held = get(where, '/hold')
  await service.event('held')
  for (let generation = 2; generation <= 4; generation++) {
    const { pid } = await service.restart()
    // The first one drains: it is stopped with the others, and goes on.
    await until(
      () => all().length === 3,
      () => JSON.stringify(all()),
    )
    expect(all().map((each) => each.pid)).toEqual(expect.arrayContaining([job?.pid, first.pid, pid]))
    service.input(CTRL_Z)
    await until(
      () => all().every(({ state }) => state === 'T'),
      () => JSON.stringify(all()),
    )
    const asked = get(where)
    service.input('fg\n')
    expect(JSON.parse((await asked).body)).toEqual({ pid, generation })
    expect(all().filter(({ state }) => state === 'T')).toEqual([])
  }
  tell(service, 'answer')
  expect(JSON.parse((await held).body)).toEqual({ pid: first.pid, generation: 1 })
  await until(() => look(first.pid) === undefined, 'it is not reaped')

  // Asked while all stand still: it is heard as soon as they go on.
  service.input(CTRL_Z)
  await until(() => all().every(({ state }) => state === 'T'), 'they still run')
  const restarting = service.restart()
  service.input('fg\n')
  expect(await restarting).toMatchObject({ generation: 5 })
  service.input(CTRL_C)
  service.input('echo status $?\n')
  await service.line(/status 0/)
  expect(all()).toEqual([])
  service.input('exit\n')
  await service.firstExit
  await service.clean()
})
