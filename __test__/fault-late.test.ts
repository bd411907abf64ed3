/** Promise 3, at its edges: a second ready(), a death right after the first connection may have come, standard streams that are shared. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { Faulty } from './support/fault'
import { expectFile } from './support/footprint'
import { look, until } from './support/processes'

/** A process is dead for good when its last thread is. */
const tasks = (pid: number) => readdirSync(`/proc/${pid}/task`).length

/** Lets the new generation serve while its launcher is stopped: what it does next falls between SERVING and the release. */
async function goesOnUnreleased({ service, before }: Faulty): Promise<{ pid: number; launcher: number }> {
  let said = await service.event('listening')
  while (said.generation !== 2) said = await service.event('listening')
  const launcher = look(said.pid)?.parent ?? 0
  expect(look(launcher)?.parent).toBe(service.pid)
  service.signal('SIGSTOP', launcher)
  const go = join(service.directory, 'go')
  writeFileSync(go, '')
  expectFile(before, go)
  return { pid: said.pid, launcher }
}

it('ready() called twice is one promise, and one restart', async () => {
  const faulty = await Faulty.start('ready-twice.mjs')
  expect(await faulty.service.event('twice')).toMatchObject({ generation: 1, same: true, settled: true })
  await faulty.succeeds()
  expect(await faulty.service.event('twice')).toMatchObject({ generation: 2, same: true, settled: true })
})

it('the new generation dies when it has just begun to serve: the old one, which never stopped, takes back', async () => {
  const faulty = await Faulty.start('dies-once-serving.mjs')
  const { service } = faulty
  const failed = faulty.failsByCommand({
    code: 'GENERATION_EXITED',
    phase: 'taking over',
    exitCode: 3,
    message: /^generation 2 exited with code 3 right after it had begun to serve \(\d+ ms\): see what it printed$/,
  })
  const { pid, launcher } = await goesOnUnreleased(faulty)
  await until(() => look(pid)?.state === 'Z' && tasks(pid) === 1, 'the new generation lives')
  service.signal('SIGCONT', launcher)
  await failed
  await faulty.recovers()
})

it('the new generation is lost when it has just begun to serve, which its launcher does not see', async () => {
  const faulty = await Faulty.start('loses-its-channel.mjs')
  const { service } = faulty
  const failed = faulty.failsByCommand({
    code: 'GENERATION_EXITED',
    phase: 'taking over',
    message: /^generation 2 ended right after it had begun to serve \(\d+ ms\)$/,
  })
  const { launcher } = await goesOnUnreleased(faulty)
  await service.event('lost')
  service.signal('SIGCONT', launcher)
  await failed
  await faulty.recovers()
})

it('the new generation prints, takes hold of standard input and dies: both are the old one’s as before', async () => {
  const directory = temporaryDirectory()
  const fifo = join(directory, 'stdin')
  execFileSync('mkfifo', [fifo])
  const stdin = openSync(fifo, 'r+')
  onTestFinished(() => closeSync(stdin))
  const faulty = await Faulty.start('reads-stdin.mjs', { directory, stdin })
  const { service } = faulty
  const heard = async (generation: number, line: string) => {
    writeSync(stdin, `${line}\n`)
    expect(await service.event('line')).toMatchObject({ generation, line })
  }
  await heard(1, 'first')
  await faulty.fails({
    code: 'GENERATION_EXITED',
    phase: 'waiting for ready',
    exitCode: 7,
    message: /^generation 2 exited with code 7 while starting/,
  })
  await heard(1, 'second')
  writeFileSync(join(service.directory, 'mended'), '')
  const { pid } = await service.restart()
  await service.firstExit
  await heard(2, 'third')
  await service.end(pid)
})
