/**
 * The bytes of the handover pipe at its reading end: read in this thread, a chunk at a time and not too many in one turn
 * of the event loop. For more, a thread of the addon waits.
 */
import { fromNative } from './failures'
import { LoopHold } from './hold'
import type { HandoverReader } from './native'
import { Turn } from './turn'

/** Null at the end. */
export type Chunk = Buffer | null

/** One read: small enough to stay in a processor's cache between the kernel and the application. */
export const CHUNK_BYTES = 64 * 1024

type Pipe = Pick<HandoverReader, 'read' | 'wait'>

export class Incoming {
  readonly #pipe: Pipe
  readonly #hold = new LoopHold()
  readonly #turn = new Turn()
  /** To read into. */
  #spare: Buffer | null = null
  #resume: (() => void) | null = null

  /** `open` is told what to call when the pipe is worth reading again. */
  constructor(open: (onReadable: () => void) => Pipe) {
    this.#pipe = open(() => {
      const resume = this.#resume
      this.#resume = null
      resume?.()
    })
  }

  /** The next chunk; undefined if there is nothing at present. Throws INHERITANCE if the pipe cannot be read. */
  take(): Chunk | undefined {
    if (this.#turn.left === 0) return undefined
    const into = this.#spare ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
    this.#spare = into
    const found = this.#pipe.read(into)
    if (found === 0) return undefined
    if (typeof found === 'number') {
      this.#turn.spend(found)
      // A few bytes, which somebody may keep, do not keep a whole chunk.
      if (found < CHUNK_BYTES / 2) return Buffer.from(into.subarray(0, found))
      this.#spare = null
      return found === CHUNK_BYTES ? into : into.subarray(0, found)
    }
    this.#spare = null
    if (found === null) return null
    throw fromNative(found)
  }

  /** Calls that, once, when it is worth trying again: in the next turn, or when there is something. Keeps the process alive. */
  whenMore(go: () => void): void {
    if (this.#turn.left === 0) {
      this.#turn.whenNext(go)
      return
    }
    const release = this.#hold.acquire()
    this.#resume = () => {
      release()
      go()
    }
    this.#pipe.wait()
  }
}
