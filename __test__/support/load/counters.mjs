// What a client can lose. `failed` is their sum; a restart that nobody notices leaves it at 0.

/**
 * - refused: no connection could be made
 * - reset: the connection was reset while a request was under way
 * - cut: the connection ended in the middle of an answer
 * - unanswered: the connection ended before the first byte of an answer, or the deadline passed
 * - wrong: an answer that is not the one to this request
 * - unannounced: an idle connection was closed although the server had promised to keep it
 * @typedef {'refused' | 'reset' | 'cut' | 'unanswered' | 'wrong' | 'unannounced'} Failure
 */
export const FAILURES = /** @type {const} */ (['refused', 'reset', 'cut', 'unanswered', 'wrong', 'unannounced'])

/** Details are kept of the first failures only. */
const DETAILS = 50

/** A request that failed, and how. */
export class Loss extends Error {
  /** @param {Failure} kind @param {string} message */
  constructor(kind, message) {
    super(message)
    this.kind = kind
  }
}

export class Counters {
  refused = 0
  reset = 0
  cut = 0
  unanswered = 0
  wrong = 0
  unannounced = 0
  /** Requests answered, and rightly. */
  answered = 0
  /** Connections made after the server had said that it would close the one before. */
  reconnects = 0
  /** Connections closed at the end of their promised keep-alive time, by either side. */
  expired = 0
  /** HTTP/2 streams refused by a GOAWAY that crossed them, and sent again: the protocol says nothing was done. */
  resent = 0
  /** TLS sessions of one generation that another one resumed, and those it did not. */
  resumedAcross = 0
  notResumedAcross = 0
  /** @type {{ kind: Failure, client: string, message: string, atMs: number }[]} */
  details = []

  get failed() {
    return FAILURES.reduce((sum, kind) => sum + this[kind], 0)
  }

  /** @param {Failure} kind @param {string} client @param {string} message */
  fail(kind, client, message) {
    this[kind]++
    if (this.details.length < DETAILS) this.details.push({ kind, client, message, atMs: Math.round(performance.now()) })
  }

  /** The failures by kind, to compare in one assertion. */
  failures() {
    return Object.fromEntries(FAILURES.map((kind) => [kind, this[kind]]))
  }
}

/** All failures at zero, as `failures()` gives them. */
export const NONE = Object.freeze(new Counters().failures())
