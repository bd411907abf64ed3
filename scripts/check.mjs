// npm run check: format and lint of both languages, and the types of everything. Changes nothing.
import { installDependencies } from './lib/dependencies.mjs'
import { entries, fail, local, root, run } from './lib/run.mjs'

/** The checks by name; each resolves with its exit code. `npm test` runs them too. */
export const checks = {
  format: async () => (await run('cargo', ['fmt', '--all', '--check'])).code,
  lint: async () => (await local(entries.biome, ['ci', '--colors=off', '--error-on-warnings', '.'])).code,
  clippy: async () =>
    (await run('cargo', ['clippy', '--locked', '--workspace', '--all-targets', '--quiet', '--', '-D', 'warnings']))
      .code,
  types: async () => (await local(entries.tsc, ['--noEmit', '--pretty', 'false'])).code,
}

async function check() {
  await installDependencies()
  const failed = []
  for (const [name, step] of Object.entries(checks)) {
    if ((await step()) !== 0) failed.push(name)
  }
  if (failed.length > 0)
    console.error(`failed: ${failed.join(', ')}. \`npm run format\` mends format and import order.`)
  else console.log(`${Object.keys(checks).length} checks passed`)
  process.exitCode = failed.length > 0 ? 1 : 0
}

if (process.argv[1] === `${root}/scripts/check.mjs`) await check().catch(fail)
