// npm run demo: examples/http.mjs under a load of keep-alive, one-shot, slow, streaming and idle clients, restarted ten
// times by the command line. Exit code 0 only if every restart succeeded and not a single request failed.
import { setTimeout as sleep } from 'node:timers/promises'
import { Connection } from '../__test__/support/load/http1.mjs'
import { startLoad } from '../__test__/support/load/load.mjs'
import { Program } from '../__test__/support/load/program.mjs'
import { target } from '../__test__/support/load/target.mjs'
import { ensureBuilt } from './lib/built.mjs'
import { fail } from './lib/run.mjs'

const RESTARTS = 10
/** Long enough for each kind of client to be in the middle of something at one restart or another. */
const BETWEEN_RESTARTS_MS = 3000
const STATS_DEADLINE_MS = 5000

const columns = ['generation', 'pid', 'restart', 'requests', 'failed', 'reconnects', 'stall of the old']
const widths = columns.map((column) => Math.max(column.length, 10))
const line = (cells) => cells.map((cell, column) => String(cell).padStart(widths[column])).join('  ')
const ms = (value) => (value === undefined ? '-' : `${value.toFixed(1)} ms`)

/** One generation's row; requests, failed and reconnects are those since its restart. */
class Row {
  constructor(load, { pid, generation, durationMs, stallMs }) {
    Object.assign(this, { load, pid, generation, durationMs, stallMs })
    this.failed = load.counters.failed
    this.reconnects = load.counters.reconnects
  }

  cells(until = this.load.counters) {
    const requests = this.load.generations.get(this.pid)?.answered ?? 0
    const counts = [requests, until.failed - this.failed, until.reconnects - this.reconnects]
    return [this.generation, this.pid, ms(this.durationMs), ...counts, ms(this.stallMs)]
  }
}

/** On a terminal the rows are drawn again and again; elsewhere each one is printed when the next one begins. */
class Table {
  rows = []
  #drawn = 0

  constructor() {
    console.log(line(columns))
    if (process.stdout.isTTY) this.timer = setInterval(() => this.#draw(), 250)
  }

  add(row) {
    this.#printLast(row)
    this.rows.push(row)
    if (this.timer) this.#draw()
  }

  end() {
    if (this.timer) this.#draw()
    else this.#printLast()
    clearInterval(this.timer)
  }

  #printLast(next) {
    if (!this.timer && this.rows.length > 0) console.log(line(this.rows.at(-1).cells(next)))
  }

  #draw() {
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : ''
    const lines = this.rows.map((row, index) => `\x1b[2K${line(row.cells(this.rows[index + 1]))}\n`)
    process.stdout.write(up + lines.join(''))
    this.#drawn = this.rows.length
  }
}

/** A connection to this very generation, to ask it for its event-loop stall even when it accepts no more. */
async function probe(address, pid) {
  const connection = await Connection.open(target(address))
  const stats = async () => JSON.parse((await connection.request('/stats', { deadlineMs: STATS_DEADLINE_MS })).body)
  const first = await stats()
  if (first.pid !== pid) throw new Error(`process ${first.pid} answers, though ${pid} should serve`)
  return {
    // Undefined if the connection was lost: the load's counters tell of such losses.
    stallMs: () =>
      stats().then(
        ({ stallMs }) => stallMs,
        () => undefined,
      ),
    close: () => connection.close(),
  }
}

/** @returns {Promise<boolean>} whether all went well */
async function demonstrate(program, load) {
  let current = { pid: program.pid, generation: 1 }
  const old = []
  await load.answeredBy(program.pid)
  const table = new Table()
  table.add(new Row(load, current))
  for (let restart = 0; restart < RESTARTS; restart++) {
    await sleep(BETWEEN_RESTARTS_MS)
    const loop = await probe(program.address, current.pid)
    const outcome = await program.restart()
    const stallMs = await loop.stallMs()
    loop.close()
    if (!outcome.ok) {
      table.end()
      console.log(`restart ${restart + 1} failed: ${outcome.code}: ${outcome.message}`)
      return false
    }
    old.push(current.pid)
    current = outcome
    table.add(new Row(load, { ...outcome, stallMs }))
  }
  await sleep(BETWEEN_RESTARTS_MS)
  await load.stop()
  table.end()
  await Promise.all(old.map((pid) => program.gone(pid)))
  return summarize(load, table)
}

function summarize({ counters }, { rows }) {
  const { answered, failed, reconnects, expired, details } = counters
  for (const { client, kind, message } of details) console.log(`${client}: ${kind}: ${message}`)
  const restartMs = rows.slice(1).map((row) => row.durationMs)
  console.log(
    `${RESTARTS} restarts (${ms(Math.min(...restartMs))} to ${ms(Math.max(...restartMs))}), ${answered} requests answered, ` +
      `${failed} failed, ${reconnects} announced reconnects, ${expired} idle connections expired, every old process gone`,
  )
  return failed === 0
}

async function main() {
  await ensureBuilt()
  const program = await Program.start('examples/http.mjs')
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ]) {
    process.once(signal, () => {
      program.killSync()
      process.exit(code)
    })
  }
  const load = startLoad(target(program.address))
  try {
    const well = await demonstrate(program, load)
    await program.stop()
    process.exitCode = well ? 0 : 1
  } finally {
    program.killSync()
    await load.stop()
  }
}

await main().catch(fail)
