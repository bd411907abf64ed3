/** A point in time that can come nearer but never go farther; aborted when it has come. 0 ms means never. */
export class Deadline {
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #at = Infinity

  constructor(afterMs: number) {
    this.shorten(afterMs)
  }

  /** Aborted once the time is over. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Moves it to so many ms from now, unless it is nearer already; 0 leaves it as it is. */
  shorten(afterMs: number): void {
    const at = performance.now() + afterMs
    if (afterMs === 0 || at >= this.#at || this.signal.aborted) return
    this.#at = at
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#controller.abort(), afterMs)
  }

  /** How long until so many ms after the deadline; Infinity if there is none. */
  remainingMs(afterMs: number): number {
    return this.#at - performance.now() + afterMs
  }

  /** True if the promise settled (well) before the deadline. */
  async outruns(promise: Promise<unknown>): Promise<boolean> {
    if (this.signal.aborted) return Promise.race([promise.then(() => true), Promise.resolve(false)])
    let onAbort: () => void = () => undefined
    const over = new Promise<boolean>((resolve) => {
      onAbort = () => resolve(false)
      this.signal.addEventListener('abort', onAbort, { once: true })
    })
    const won = await Promise.race([promise.then(() => true), over])
    this.signal.removeEventListener('abort', onAbort)
    return won
  }

  /** Nobody waits any longer. */
  clear(): void {
    clearTimeout(this.#timer)
  }
}
