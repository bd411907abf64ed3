// The client kinds: what each asks for, how often, and whether it keeps its connection.
import { Loss } from './counters.mjs'
import { Connection } from './http1.mjs'
import { NotProcessed, Session } from './http2.mjs'
import { Upload } from './upload.mjs'

/** Far longer than the slowest route: reached only by an answer that never comes. */
const DEADLINE_MS = 20_000

/** A stream that a GOAWAY crossed is sent again so often. */
const RESENDS = 3

/**
 * @typedef {object} Kind
 * @property {number} count  of clients
 * @property {'echo' | 'slow' | 'stream' | 'upload'} route  see examples/app.mjs; an upload is answered with its digest
 * @property {readonly [number, number]} thinkMs  pause between two requests
 * @property {boolean} keepAlive
 */

/** The load of issue 3. Idle clients come back before the promised keep-alive time (5 s by default) ends, or after. */
export const KINDS = /** @type {const} @satisfies {Record<string, Kind>} */ ({
  keepAlive: { count: 32, route: 'echo', thinkMs: [10, 60], keepAlive: true },
  oneShot: { count: 8, route: 'echo', thinkMs: [10, 60], keepAlive: false },
  slow: { count: 4, route: 'slow', thinkMs: [0, 50], keepAlive: true },
  streaming: { count: 4, route: 'stream', thinkMs: [0, 50], keepAlive: true },
  idle: { count: 4, route: 'echo', thinkMs: [2500, 3700], keepAlive: true },
  idleTooLong: { count: 4, route: 'echo', thinkMs: [6000, 7000], keepAlive: true },
})

/** The body /stream must have but for its last line. @param {string} token */
const streamed = (token) => Array.from({ length: 20 }, (_, line) => `${token} ${line}\n`).join('')

/**
 * Takes an answer apart.
 * @param {string} body @param {string} token @param {Kind['route']} route
 * @returns {{ pid: number, generation: number }}
 * @throws {Loss} `wrong` if it is not the answer to this token
 */
export function verify(body, token, route) {
  const before = route === 'stream' ? streamed(token) : ''
  const [, echoed, pid, generation] = /^(\S+) (\d+) (\d+)\n$/.exec(body.slice(before.length)) ?? []
  if (!body.startsWith(before) || echoed !== token)
    throw new Loss('wrong', `${token} was answered ${body.slice(0, 80)}`)
  return { pid: Number(pid), generation: Number(generation) }
}

/** One client with at most one connection at a time. */
export class Client {
  /** @type {Connection | Session | undefined} */
  #connection
  /** The TLS session the open connection was offered. @type {import('./load.mjs').Offer | undefined} */
  #offered
  #load
  #name
  #kind
  #sent = 0

  /** @param {import('./load.mjs').Load} load @param {string} name @param {Kind} kind */
  constructor(load, name, kind) {
    this.#load = load
    this.#name = name
    this.#kind = kind
  }

  /** Asks, thinks and asks again until the load stops. */
  async run() {
    const { stopping } = this.#load
    const [least, most] = this.#kind.thinkMs
    while (!stopping.aborted) {
      await this.#ask().catch((error) => {
        if (!(error instanceof Loss)) throw error
        this.#load.lost(error, this.#name)
        this.#drop()
      })
      await this.#load.pause(least + Math.random() * (most - least))
    }
    this.#settle()
    this.#drop()
  }

  async #ask() {
    const { route, keepAlive } = this.#kind
    const token = `${this.#name}-${++this.#sent}-${Math.random().toString(36).slice(2)}`
    const upload = route === 'upload' ? new Upload() : undefined
    const response = await this.#send(`/${route}/${token}`, upload)
    if (response.status !== 200) throw new Loss('wrong', `status ${response.status}: ${response.body.slice(0, 80)}`)
    const answer = verify(response.body, upload?.digest ?? token, route)
    this.#load.answered(answer)
    this.#tls(answer.pid)
    if (response.close && keepAlive) this.#load.counters.reconnects++
    if (response.close || !keepAlive) this.#drop()
  }

  /** @param {string} path @param {Upload} [upload] */
  async #send(path, upload) {
    for (let attempt = 0; ; attempt++) {
      const connection = await this.#usable()
      try {
        return await connection.request(path, { close: !this.#kind.keepAlive, deadlineMs: DEADLINE_MS, upload })
      } catch (error) {
        if (!(error instanceof NotProcessed)) throw error
        if (attempt === RESENDS) throw new Loss('unanswered', `refused by GOAWAY ${RESENDS} times`)
        this.#load.counters.resent++
        this.#drop()
      }
    }
  }

  async #usable() {
    this.#settle()
    if (this.#connection?.reusable) return this.#connection
    this.#drop()
    const { target } = this.#load
    this.#offered = this.#load.offer
    const opening = target.protocol === 'h2' ? Session.open(target) : Connection.open(target, this.#offered?.ticket)
    this.#connection = await opening
    return this.#connection
  }

  /** Books how the connection ended while nobody looked, or that it is too old to be used again. */
  #settle() {
    const connection = this.#connection
    if (!connection || connection.reusable) return
    if (connection.end === 'unannounced') {
      this.#load.lost(new Loss('unannounced', 'an idle connection was closed against its promise'), this.#name)
    } else if (connection.announced) this.#load.counters.reconnects++
    else this.#load.counters.expired++
    this.#drop()
  }

  /** @param {number} pid  whose answer this connection has just brought */
  #tls(pid) {
    const connection = this.#connection
    if (this.#offered && this.#offered.pid !== pid) {
      if (connection?.resumed) this.#load.counters.resumedAcross++
      else this.#load.counters.notResumedAcross++
    }
    this.#offered = undefined
    if (connection?.ticket) this.#load.offer = { ticket: connection.ticket, pid }
  }

  #drop() {
    this.#connection?.close()
    this.#connection = undefined
  }
}
