// A load of many clients on one target, for as long as wanted. Loopback and unix sockets only.
//   const load = startLoad(target('http://127.0.0.1:3000'))
//   await load.answeredBy(pid, 1000)
//   await load.stop()
//   load.counters.failed === 0
import { EventEmitter, on, setMaxListeners } from 'node:events'
import { Client, KINDS } from './clients.mjs'
import { Counters } from './counters.mjs'
import { UDP_KINDS, UdpClient } from './udp.mjs'

/** A target that has lost so many requests is down: the load ends by itself. */
const GIVE_UP_AFTER = 1000

/**
 * A TLS session to resume, and the generation that gave it.
 * @typedef {{ ticket: Buffer, pid: number }} Offer
 * @typedef {{ pid: number, generation: number, answered: number, firstMs: number, lastMs: number }} Answers
 */

export class Load {
  counters = new Counters()
  /** What each process answered, by pid; times as performance.now() gives them. @type {Map<number, Answers>} */
  generations = new Map()
  /** @type {Offer | undefined} */
  offer
  target
  #stop = new AbortController()
  #answers = new EventEmitter().setMaxListeners(0)
  /** @type {Promise<void>[]} */
  #clients

  /** @param {import('./target.mjs').Target} target @param {Record<string, import('./clients.mjs').Kind>} kinds */
  constructor(target, kinds) {
    if (target.host !== undefined && !/^(127\.|localhost$|\[?::1)/.test(target.host)) {
      throw new Error(`The load is for this machine only, not for ${target.host}`)
    }
    this.target = target
    setMaxListeners(0, this.#stop.signal)
    this.#clients = Object.entries(kinds).flatMap(([name, kind]) =>
      Array.from({ length: kind.count }, (_, index) => {
        const client = target.protocol === 'udp' ? UdpClient : Client
        return new client(this, `${name}${index}`, kind).run()
      }),
    )
    for (const client of this.#clients) client.catch(() => this.#stop.abort())
  }

  /** Aborted once no more requests are to be sent. */
  get stopping() {
    return this.#stop.signal
  }

  /** Sleeps, but not beyond the end of the load. @param {number} ms @returns {Promise<void>} */
  pause(ms) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.stopping.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.stopping.addEventListener('abort', done)
      if (this.stopping.aborted) done()
    })
  }

  /** @param {{ pid: number, generation: number }} answer */
  answered({ pid, generation }) {
    this.counters.answered++
    const now = performance.now()
    let answers = this.generations.get(pid)
    if (!answers) {
      answers = { pid, generation, answered: 0, firstMs: now, lastMs: now }
      this.generations.set(pid, answers)
    }
    answers.answered++
    answers.lastMs = now
    this.#answers.emit('answer', answers)
  }

  /** @param {import('./counters.mjs').Loss} loss @param {string} client */
  lost({ kind, message }, client) {
    this.counters.fail(kind, client, message)
    if (this.counters.failed >= GIVE_UP_AFTER) this.#stop.abort()
  }

  /**
   * Resolves once that process has given so many answers; rejects if the load is stopped before.
   * @param {number} pid @param {number} [count] @returns {Promise<Answers>}
   */
  async answeredBy(pid, count = 1) {
    const soFar = this.generations.get(pid)
    if (soFar && soFar.answered >= count) return soFar
    try {
      for await (const [answers] of on(this.#answers, 'answer', { signal: this.stopping })) {
        if (answers.pid === pid && answers.answered >= count) return answers
      }
    } catch {
      // Stopped. A client that broke says why.
      await Promise.all(this.#clients)
    }
    const so = JSON.stringify(this.counters.failures())
    throw new Error(`The load ended before process ${pid} had given ${count} answers; failures: ${so}`)
  }

  /** Sends no more requests, and resolves when those under way have ended. A client that broke rejects. */
  async stop() {
    this.#stop.abort()
    await Promise.all(this.#clients)
  }
}

/**
 * @param {import('./target.mjs').Target} target
 * @param {Record<string, import('./clients.mjs').Kind>} [kinds]  default: those of issue 3
 */
export function startLoad(target, kinds = target.protocol === 'udp' ? UDP_KINDS : KINDS) {
  return new Load(target, kinds)
}
