// Requests per second under Bun, with the service and without: node:http, and Bun's own server.
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ROOT } from '../__test__/support/load/program.mjs'
import { CommandFailed } from '../scripts/lib/run.mjs'
import { compare } from './throughput.mjs'

export async function measure({ rounds }) {
  const runtime = bun()
  return [
    ...(await compare({ what: 'requests per second under Bun, node:http', rounds, runtime })),
    ...(await compare({
      ...{ what: 'requests per second under Bun, Bun.serve', rounds, runtime },
      ...{ service: 'bun-service', plain: 'bun-plain' },
    })),
  ]
}

/** The one that the tests have installed, or one of $PATH. */
function bun() {
  const cache = join(ROOT, 'node_modules/.cache')
  const installed = existsSync(cache) ? readdirSync(cache).filter((name) => name.startsWith('runtimes-')) : []
  const arch = process.arch === 'arm64' ? 'aarch64' : process.arch
  const folders = installed.map((name) => join(cache, name, `node_modules/@oven/bun-linux-${arch}/bin`))
  const found = [...folders, ...(process.env.PATH ?? '').split(delimiter)]
    .map((folder) => join(folder, 'bun'))
    .find(existsSync)
  if (!found)
    throw new CommandFailed(
      'There is no Bun: put it into PATH, or npx vitest run __test__/bun.test.ts, which installs it',
    )
  return found
}
