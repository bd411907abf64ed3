// npm run test:node -- 22: vitest under another release of Node, which is fetched into the target folder. A version, the
// beginning of one or `latest`; what follows goes to vitest: npm run test:node -- 24 __test__/promises.test.ts
import { delimiter, dirname } from 'node:path'
import { ensureBuilt } from './lib/built.mjs'
import { nodeRelease } from './lib/node-release.mjs'
import { CommandFailed, entries, fail, must, root, run } from './lib/run.mjs'

/** Tests start `process.execPath`, which is the Node of whoever runs them; scripts find theirs by PATH. */
async function testUnder(wanted, args) {
  if (wanted === undefined) throw new CommandFailed('which Node? For example: npm run test:node -- 22')
  const program = await nodeRelease(wanted)
  await ensureBuilt()
  console.log(`vitest under Node ${(await must(program, ['--version'], { quiet: true })).trim()}`)
  const env = { PATH: `${dirname(program)}${delimiter}${process.env.PATH}` }
  process.exitCode = (await run(program, [`${root}/node_modules/${entries.vitest}`, 'run', ...args], { env })).code
}

const [wanted, ...args] = process.argv.slice(2)
await testUnder(wanted, args).catch(fail)
