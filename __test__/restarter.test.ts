/** The crate's example in JavaScript, examples/restarter.mjs: end to end, with its own client. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { alive } from './support/processes'
import { RawClient } from './support/raw-client'
import { node, root } from './support/run'
import { start } from './support/spawn'

const program = join(root, 'examples/restarter.mjs')

function launch() {
  const directory = temporaryDirectory()
  const socket = join(directory, 'service.sock')
  const service = start(program, { directory, args: ['--socket', socket, '--port', '0'] })
  return { service, restart: () => node([program, 'restart', '-s', socket]) }
}

/** Connects, and waits for the greeting: the process that sends it is ready. */
async function greeted(port: number) {
  const client = await RawClient.connect({ port })
  const [, pid] = /this is process (\d+)\n/.exec(await client.until(/\n/)) ?? []
  return { client, pid: Number(pid) }
}

it('is restarted as often as it allows; every process drains and ends, and the last one is told why it may not', async () => {
  const { service, restart } = launch()
  const [, port] = await service.line(/^instance 0 \(pid \d+\) listens on (\d+)$/)
  let last = await greeted(Number(port))
  expect(last.pid).toBe(service.pid)
  for (let generation = 1; generation <= 5; generation++) {
    const { code, stdout, stderr } = await restart()
    expect(code, stderr + service.output.text()).toBe(0)
    const pid = Number(/^restarted, the new process is (\d+)\n$/.exec(stdout)?.[1])
    await service.line(new RegExp(`^instance ${generation - 1} is about to start the next one$`))
    await service.line(new RegExp(`^instance ${generation - 1} is replaced by process ${pid}, its clients may finish$`))
    // The old process still serves the client it has, and ends when that leaves.
    const next = await greeted(Number(port))
    expect(next.pid).toBe(pid)
    await last.client.write('still here?').until(/still here\?$/)
    expect(alive(last.pid)).toBe(true)
    last.client.socket.end()
    await service.line(new RegExp(`^instance ${generation - 1} ends$`))
    await service.gone(last.pid)
    last = next
  }
  const refused = await restart()
  const why = 'lifecycle.sendToNewProcess failed: 5 restarts are enough for an example'
  expect(refused).toMatchObject({ code: 1, stderr: `not restarted: ${why}\n` })
  await service.line(new RegExp(`^instance 5 goes on: ${why}$`))
  await service.line(new RegExp(`^instance 5 cannot be restarted any more: ${why}$`))
  last.client.socket.end()
  await service.line(/^instance 5 ends$/)
  await service.clean()
})

it('says so where there is nothing to restart', async () => {
  const socket = join(temporaryDirectory(), 'none.sock')
  const { code, stderr } = await node([program, 'restart', '-s', socket])
  expect(code).toBe(1)
  expect(stderr).toBe(`not restarted: no service at ${socket}: there is no socket; is it running?\n`)
})
