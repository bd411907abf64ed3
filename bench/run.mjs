// npm run bench [-- name…] [--quick] [--check] [--write docs/performance.md]
// Measures the budgets of the design, each against its counterpart in the same run, in turns, since machines are noisy:
// ratios count, not times. Prints a table and writes bench/results.json. --check: exit code 1 if a budget is not kept.
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../__test__/support/load/program.mjs'
import { ensureBuilt } from '../scripts/lib/built.mjs'
import { CommandFailed, fail } from '../scripts/lib/run.mjs'
import { markdown, writeBetweenMarkers } from './lib/table.mjs'

const measures = ['first-answer', 'load', 'stall', 'throughput', 'bun', 'pipe', 'handle', 'loading']
const QUICK_ROUNDS = 3

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean' }, check: { type: 'boolean' }, write: { type: 'string' } },
  })
  const unknown = positionals.find((name) => !measures.includes(name))
  if (unknown) throw new CommandFailed(`There is no measurement ${unknown}: choose from ${measures.join(', ')}`)
  const rounds = values.quick ? () => QUICK_ROUNDS : (full) => full

  // It slows down every start of Node 20, and is no part of what is measured.
  delete process.env.NODE_EXTRA_CA_CERTS
  await ensureBuilt()
  const rows = []
  for (const name of positionals.length > 0 ? positionals : measures) {
    console.error(`measuring ${name}`)
    const { measure } = await import(`./${name}.mjs`)
    // The other measurements are not lost with this one.
    await measure({ rounds }).then((measured) => rows.push(...measured), fail)
  }
  report(rows, values)
}

function report(rows, { check, write }) {
  const machine = `Node ${process.version}, Linux ${release()}, ${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown'}`
  const date = new Date().toISOString().slice(0, 10)
  const table = markdown(rows)
  console.log(`${table}\n\n${machine}`)
  writeFileSync(join(ROOT, 'bench/results.json'), `${JSON.stringify({ date, machine, rows }, undefined, 2)}\n`)
  if (write) writeBetweenMarkers(write, `${table}\n\n${machine}, ${date}.`)
  const over = rows.filter(({ pass }) => pass === false)
  if (check && over.length > 0) fail(new CommandFailed(`over budget: ${over.map(({ what }) => what).join('; ')}`))
}

await main().catch(fail)
