/**
 * Keeps the process alive while something of ours is pending. The addon's callback does not hold the event loop, and a
 * listener that does not accept yet does not either: without this, `await service.ready()` could end the process.
 */
export class LoopHold {
  #timer: NodeJS.Timeout | undefined
  #holders = 0

  /** Holds until the returned function is called; calling that again does nothing. */
  acquire(): () => void {
    this.#holders += 1
    this.#timer ??= setInterval(() => {}, 2 ** 30)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#holders -= 1
      if (this.#holders > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  /** Holds until that promise is settled; gives the promise back. */
  during<T>(promise: Promise<T>): Promise<T> {
    const release = this.acquire()
    promise.then(release, release)
    return promise
  }
}
