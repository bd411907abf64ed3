// What is Deno's own: its command line, which process.execArgv hides, and servers that take no socket from elsewhere.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { expectEveryServer } from './support/every-server'
import { Program, temporaryFolder } from './support/load/program.mjs'
import { restartUnderLoad } from './support/load/restarts'
import { run } from './support/run'
import { project } from './support/runtimes'
import { start } from './support/spawn'
import { expectStartsAgain } from './support/start-again'
import { subject, subjectIs } from './support/subject'

await subjectIs('deno')

const folder = temporaryFolder()
afterAll(() => rmSync(folder, { recursive: true }))
project(folder, 'examples')

it('no client notices restarts under load: node:http', { timeout: 180_000 }, async () => {
  const { file: runtime, args: nodeArgs } = subject
  const program = await Program.start(join(folder, 'examples/http.mjs'), { runtime, nodeArgs })
  try {
    const counters = await restartUnderLoad(program, undefined, 3)
    expect(counters.reconnects).toBeGreaterThan(0)
  } finally {
    await program.kill()
  }
})

it('servers of net, tls, http, https and http2, over TCP and unix sockets, are handed on', async () => {
  await expectEveryServer()
})

it('starts again with the same flags and arguments, and the environment as it was edited', async () => {
  await expectStartsAgain({ execArgv: ['--no-prompt'] })
})

it('what takes no socket from elsewhere is refused by name, and the rest goes on', async () => {
  const service = start('deno-refuses.mjs')
  for (const what of ['Deno.serve', 'Deno.listen', 'dgram', 'Bun.serve']) {
    const refusal = await service.event('refused')
    expect(refusal).toMatchObject({ what, code: 'ERR_SHELLFLIP_UNSUPPORTED' })
    const named = what === 'Bun.serve' ? 'this is not Bun' : what
    expect(refusal.message).toContain(named)
  }
  expect(await service.event('listeners')).toMatchObject({ names: ['web'] })
  await service.event('ready')
  const { pid } = await service.restart()
  await service.end(pid)
})

it('without the permission to load the addon, the error names that, and not a damaged file', async () => {
  writeFileSync(
    join(folder, 'refused.mjs'),
    `import { shellflip } from '@shellflip/node'
     await shellflip().catch(({ code, message }) => console.log(code, message))`,
  )
  const permissions = ['net', 'read', 'env', 'sys', 'run'].map((name) => `--allow-${name}`)
  const { stdout } = await run(subject.file, ['run', '--no-prompt', ...permissions, 'refused.mjs'], { cwd: folder })
  expect(stdout).toMatch(/^ERR_SHELLFLIP_UNSUPPORTED .*--allow-ffi.* Start Deno with -A, or with the permissions/)
  expect(stdout).not.toMatch(/damaged/)
})
