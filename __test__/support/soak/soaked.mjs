// The service under soak: restarted in blocks under load, and looked at when at rest in between.
import { setTimeout as sleep } from 'node:timers/promises'
import { KINDS } from '../load/clients.mjs'
import { Connection } from '../load/http1.mjs'
import { startLoad } from '../load/load.mjs'
import { target } from '../load/target.mjs'
import { descriptors, residentBytes, zombies } from './look.mjs'
import { median, total } from './verdict.mjs'

/** So many answers each generation gives before it is replaced: in less time than the one before needs to drain. */
const ANSWERS = 200

const REQUEST_DEADLINE_MS = 20_000

/** Longer than a drain may take. What is not as it should be by then is as it is. */
const LOOK_DEADLINE_MS = 35_000

const uploads = (count) => ({ count, route: 'upload', thinkMs: [0, 50], keepAlive: true })
const few = {
  keepAlive: { ...KINDS.keepAlive, count: 4 },
  oneShot: { ...KINDS.oneShot, count: 1 },
  streaming: { ...KINDS.streaming, count: 1 },
}

/** Who asks at which address of the service: the usual mix at the first, a few everywhere else. */
const CLIENTS = {
  http: { ...KINDS, uploads: uploads(4) },
  unix: { ...few, uploads: uploads(2) },
  https: few,
  h2: few,
  udp: { datagrams: { count: 4, route: 'echo', thinkMs: [5, 30], keepAlive: true } },
}

export class Soaked {
  /** @type {import('./verdict.mjs').Row[]} */
  rows = []
  #program
  #cert
  #pid
  /** @type {Record<string, string>} */
  #addresses = {}

  /** @param {import('../load/program.mjs').Program} program @param {string} cert */
  constructor(program, cert) {
    this.#program = program
    this.#cert = cert
    this.#pid = program.pid
  }

  /** Resolves once the first generation serves. */
  async begin() {
    this.#addresses = JSON.parse(await this.#program.printed(/"event":"ready"/)).addresses
  }

  /** Restarts it under load until it has been restarted so often, then looks at it. @param {number} restarts */
  async restartedUntil(restarts) {
    const done = this.rows.at(-1)?.restarts ?? 0
    const loads = Object.entries(CLIENTS).map(([name, kinds]) =>
      startLoad(target(this.#addresses[name] ?? '', this.#cert), kinds),
    )
    const answered = () => Promise.all(loads.map((load, index) => load.answeredBy(this.#pid, index ? 1 : ANSWERS)))
    const loadedRss = []
    const restartMs = []
    let draining = 0
    try {
      for (let restart = done; restart < restarts; restart++) {
        await answered()
        loadedRss.push(residentBytes(this.#pid))
        const outcome = await this.#program.restart()
        if (!outcome.ok) throw new Error(`a restart failed: ${outcome.code}: ${outcome.message}`)
        this.#pid = outcome.pid
        restartMs.push(outcome.durationMs)
        draining = Math.max(draining, this.#program.generations().length - 1)
      }
      await answered()
    } finally {
      await Promise.all(loads.map((load) => load.stop()))
    }
    const counters = loads.map((load) => load.counters)
    return this.#look({
      restarts,
      answered: counters.reduce((sum, { answered }) => sum + answered, 0),
      failed: counters.reduce((sum, { failed }) => sum + failed, 0),
      details: counters.flatMap(({ details }) => details),
      loadedRss: median(loadedRss),
      draining,
      restartMs,
    })
  }

  /** Ends it as a service manager would, and expects that all of it ends by itself. */
  async end() {
    process.kill(this.#pid, 'SIGTERM')
    await until(() => this.#program.processes().length === 0)
    const left = this.#program.processes()
    if (left.length > 0) throw new Error(`still there after SIGTERM: processes ${left}`)
    await this.#program.ended
  }

  /** Looks at the generation that serves, once it is at rest and the others are gone. */
  async #look(figures) {
    await until(() => this.#program.generations().length === 1)
    const rss = await this.#rest()
    const expected = this.rows[0] && total(this.rows[0].descriptors)
    const settled = () => expected === undefined || total(descriptors(this.#pid)) === expected
    // Whoever adopts orphans may take a moment to wait for them.
    const group = this.#program.pid
    await until(() => this.#program.processes().length === 1 && zombies(group) === 0 && settled())
    const row = {
      ...figures,
      rss,
      descriptors: descriptors(this.#pid),
      zombies: zombies(group),
      processes: this.#program.processes().length,
    }
    this.rows.push(row)
    return row
  }

  /** Ends its work, and resolves with its resident memory once the last client is gone. @returns {Promise<number>} */
  async #rest() {
    const connection = await Connection.open(target(this.#addresses.http ?? ''))
    await connection.request('/rest', { close: true, deadlineMs: REQUEST_DEADLINE_MS })
    connection.close()
    return JSON.parse(await this.#program.printed(new RegExp(`"event":"resting","pid":${this.#pid},`))).rss
  }
}

/** Resolves once the condition holds, or at the deadline: whoever looks next sees which. @param {() => boolean} condition */
async function until(condition) {
  const deadline = performance.now() + LOOK_DEADLINE_MS
  while (!condition() && performance.now() < deadline) await sleep(20)
}
