/** How many bytes may be moved in one turn of the event loop, before others get theirs: well below a millisecond's work. */
const BYTES = 1024 * 1024
/** However few bytes one step moves, it costs a call of the system. */
const STEP_BYTES = 16 * 1024

/** Counts what is moved in this turn of the event loop. */
export class Turn {
  #left = BYTES
  #waiting: (() => void)[] = []

  /** Bytes that may still be moved. */
  get left(): number {
    return this.#left
  }

  /** So many have been. */
  spend(bytes: number): void {
    if (this.#left === BYTES) setImmediate(() => this.#next())
    this.#left = Math.max(0, this.#left - Math.max(bytes, STEP_BYTES))
  }

  /** Calls that in the next turn, once nothing is left of this one. */
  whenNext(go: () => void): void {
    this.#waiting.push(go)
  }

  #next(): void {
    this.#left = BYTES
    const waiting = this.#waiting
    this.#waiting = []
    for (const go of waiting) go()
  }
}
