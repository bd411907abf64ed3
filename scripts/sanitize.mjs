// npm run sanitize [-- name…]: the Rust tests under AddressSanitizer with LeakSanitizer, ThreadSanitizer and valgrind, and
// the addon under AddressSanitizer inside Node while that is restarted. Prints which ran, and why one could not. Exit code
// 1 if one found something. Minutes long, and no part of `npm test`.

import { CommandFailed, fail } from './lib/run.mjs'
import { addon } from './lib/sanitize/addon.mjs'
import { memory } from './lib/sanitize/memory.mjs'
import { threads } from './lib/sanitize/threads.mjs'
import { valgrind } from './lib/sanitize/valgrind.mjs'

/** Each resolves with what it examined, or with `{ cannot }`: why it cannot run here; throws if it finds something. */
const sanitizers = { memory, threads, valgrind, addon }

async function main() {
  const names = process.argv.slice(2)
  const unknown = names.find((name) => !(name in sanitizers))
  if (unknown) throw new CommandFailed(`There is no ${unknown}: choose from ${Object.keys(sanitizers).join(', ')}`)
  const outcomes = []
  for (const name of names.length > 0 ? names : Object.keys(sanitizers)) {
    console.log(`\n--- ${name}`)
    try {
      const { ran, cannot } = await sanitizers[name]()
      outcomes.push(ran ? `${name}: nothing found: ${ran}` : `${name}: NOT RUN: ${cannot}`)
    } catch (error) {
      process.exitCode = 1
      outcomes.push(`${name}: FAILED: ${error instanceof CommandFailed ? error.message : error.stack}`)
    }
  }
  console.log(`\n${outcomes.join('\n')}`)
}

await main().catch(fail)
