// npm run soak [-- restarts]: a service of five listeners restarted so many times (500) under load, while it also runs
// child processes, a timer and uploads. Exit code 0 only if not a request failed, nothing grew and nothing is left.
import { soak } from '../__test__/support/soak/soak.mjs'
import { median, megabytes, total } from '../__test__/support/soak/verdict.mjs'
import { ensureBuilt } from './lib/built.mjs'
import { CommandFailed, fail } from './lib/run.mjs'

const RESTARTS = 500

const columns = {
  restarts: ({ restarts }) => restarts,
  'a restart, median (worst)': ({ restartMs }) =>
    restartMs.length > 0 ? `${median(restartMs).toFixed(0)} (${Math.max(...restartMs).toFixed(0)}) ms` : '-',
  answered: ({ answered }) => answered,
  failed: ({ failed }) => failed,
  'fds at rest': ({ descriptors }) => total(descriptors),
  'RSS at rest': ({ rss }) => megabytes(rss),
  'RSS under load': ({ loadedRss }) => megabytes(loadedRss),
  zombies: ({ zombies }) => zombies,
  processes: ({ processes }) => processes,
  'draining at once': ({ draining }) => draining,
}

const line = (cells) => `| ${cells.join(' | ')} |`
const widths = Object.keys(columns).map((column) => Math.max(column.length, 8))
const padded = (cells) => line(cells.map((cell, column) => String(cell).padStart(widths[column])))

async function main() {
  const [argument = String(RESTARTS)] = process.argv.slice(2)
  const restarts = Number(argument)
  if (!Number.isSafeInteger(restarts) || restarts < 1) throw new CommandFailed(`How many restarts is ${argument}?`)
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ]) {
    process.once(signal, () => process.exit(code))
  }
  await ensureBuilt()
  const begun = performance.now()
  console.log(padded(Object.keys(columns)))
  console.log(line(widths.map((width) => `${'-'.repeat(width - 1)}:`)))
  const { rows, problems } = await soak(restarts, (row) =>
    console.log(padded(Object.values(columns).map((cell) => cell(row)))),
  )
  const sum = (name) => rows.reduce((all, row) => all + row[name], 0)
  const seconds = Math.round((performance.now() - begun) / 1000)
  console.log(`\n${restarts} restarts, ${sum('answered')} requests answered, ${sum('failed')} failed, ${seconds} s`)
  if (problems.length > 0) throw new CommandFailed(problems.join('\n'))
}

await main().catch(fail)
