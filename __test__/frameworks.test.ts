import { expect, test } from 'vitest'
import { get } from './support/http'
import { start } from './support/spawn'

test.each([
  ['Fastify, by serverFactory and manage', 'framework-fastify.mjs'],
  ['Express, by listen', 'framework-express.mjs'],
  ['a plain handler, by manage', 'framework-none.mjs'],
])('%s: the request in flight is answered by the old generation, the next one by the new', async (_name, program) => {
  const service = start(program)
  const first = await service.event('ready')
  const port = Number(first.port)
  const ask = async (path: string) => {
    const { body, headers } = await get({ port }, path)
    return { ...JSON.parse(body), connection: headers.connection }
  }
  expect(await ask('/')).toMatchObject({ pid: first.pid, generation: 1 })

  const held = ask('/held')
  await service.event('held')
  const restarted = await service.restart()
  expect(restarted.generation).toBe(2)
  expect(await held).toEqual({ pid: first.pid, generation: 1, connection: 'close' })

  const second = await service.event('ready')
  expect(second).toMatchObject({ pid: restarted.pid, generation: 2, port })
  expect(await ask('/')).toMatchObject({ pid: second.pid, generation: 2 })
  expect(await service.event('closed')).toMatchObject({ pid: first.pid, generation: 1 })
  expect(await service.firstExit).toEqual({ code: 0, signal: null })

  await service.end(second.pid)
  expect(await service.event('closed')).toMatchObject({ pid: second.pid, generation: 2 })
})
