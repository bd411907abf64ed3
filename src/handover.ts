/**
 * State for the new generation, through the handover pipe: one structured-cloneable value (`handover`) or the
 * application's own bytes (`lifecycle.sendToNewProcess`). Whatever goes wrong here fails the restart, not this process.
 */
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { messageOf } from './errors'
import { fromNative } from './failures'
import { trace } from './logger'
import type { Engine } from './native'
import type { Settings } from './options'
import { encodeState } from './state'
import { Turn } from './turn'

/** Bytes that wait here before a writer is told to wait. */
const BUFFERED_BYTES = 1024 * 1024
/** Chunks are joined up to this: to copy small ones costs less than a call of the system for each. */
const JOINED_BYTES = 16 * 1024

/** What kind of handover these options make. */
export function handoverKind(settings: Settings): 'value' | 'raw' | 'none' {
  if (settings.handover !== undefined) return 'value'
  return settings.lifecycle.sendToNewProcess === undefined ? 'none' : 'raw'
}

/** The sending end of one restart at a time. */
export class HandoverSender<State> {
  readonly #engine: Engine
  readonly #settings: Settings<State>
  #pipe: HandoverPipe | null = null

  constructor(engine: Engine, settings: Settings<State>) {
    this.#engine = engine
    this.#settings = settings
  }

  /** Runs the application's hook, and tells the engine when the last byte is through or why not. Never rejects. */
  async send(attempt: number): Promise<void> {
    const pipe = new HandoverPipe(this.#engine)
    this.#pipe = pipe
    let failure: string | undefined
    try {
      await this.#fill(pipe)
      if (!pipe.writableEnded && !pipe.destroyed) pipe.end()
      await finished(pipe)
    } catch (error) {
      failure = `${this.#settings.handover === undefined ? 'lifecycle.sendToNewProcess' : 'handover()'} failed: ${messageOf(error)}`
    }
    // Another restart may have begun while a hook of this one, long rolled back, was still running.
    if (this.#pipe !== pipe) return
    this.#pipe = null
    trace('handover %s', failure ?? 'sent')
    this.#engine.handoverDone(attempt, failure)
  }

  /** The pipe was full, and takes bytes again. */
  goOn(): void {
    this.#pipe?.goOn()
  }

  /** The restart is over: a hook that still writes learns it from its stream. */
  stop(error: Error): void {
    const pipe = this.#pipe
    this.#pipe = null
    pipe?.destroy(error)
  }

  async #fill(pipe: HandoverPipe): Promise<void> {
    const { handover, lifecycle } = this.#settings
    if (handover === undefined) {
      await lifecycle.sendToNewProcess?.(pipe)
      return
    }
    for (const part of encode(await handover())) await pipe.put(part)
  }
}

function encode(value: unknown): Buffer[] {
  try {
    return encodeState(value)
  } catch (error) {
    throw new Error(
      `its value cannot be handed over: ${messageOf(error)} (plain data can, functions and sockets cannot)`,
    )
  }
}

/**
 * The handover pipe as a stream: a write is done when the kernel has taken it. It takes bytes straight from the buffer
 * that it is given, in this thread, as many as the pipe holds; for room the engine waits.
 */
class HandoverPipe extends Writable {
  readonly #engine: Engine
  readonly #turn = new Turn()
  /** What is left of a write, the next chunk last. */
  #pending: { chunks: Buffer[]; done: (error: Error | null) => void } | null = null

  constructor(engine: Engine) {
    super({ highWaterMark: BUFFERED_BYTES })
    this.#engine = engine
    // A hook that does not listen must not end the process by it: the restart fails, and that is reported.
    this.on('error', () => {})
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error: Error | null) => void): void {
    this.#begin([chunk], done)
  }

  override _writev(written: { chunk: Buffer }[], done: (error: Error | null) => void): void {
    this.#begin(
      written.map(({ chunk }) => chunk),
      done,
    )
  }

  #begin(chunks: Buffer[], done: (error: Error | null) => void): void {
    this.#pending = { chunks: chunks.filter(({ length }) => length > 0).reverse(), done }
    this.goOn()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // A write under way is not answered any more, but whoever awaits it must be.
    this.#settle(error ?? new Error('the handover pipe was destroyed'))
    done(error)
  }

  /** There may be room for what is pending. */
  goOn(): void {
    const pending = this.#pending
    if (pending === null) return
    const { chunks } = pending
    for (let bytes = next(chunks); bytes !== undefined; bytes = next(chunks)) {
      const { left } = this.#turn
      if (left === 0) {
        chunks.push(bytes)
        this.#turn.whenNext(() => this.goOn())
        return
      }
      const taken = this.#engine.handoverWrite(bytes.length > left ? bytes.subarray(0, left) : bytes)
      if (typeof taken === 'object') {
        this.#settle(fromNative(taken))
        return
      }
      if (taken < bytes.length) chunks.push(bytes.subarray(taken))
      // 'handoverRoom' follows.
      if (taken === 0) return
      this.#turn.spend(taken)
    }
    this.#settle(null)
  }

  #settle(error: Error | null): void {
    const pending = this.#pending
    this.#pending = null
    pending?.done(error)
  }

  /** Writes and waits. */
  put(chunk: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.write(chunk, (error) => (error ? reject(error) : resolve()))
    })
  }
}

/** Takes the next chunk off, or several small ones as one. */
function next(chunks: Buffer[]): Buffer | undefined {
  const first = chunks.pop()
  if (first === undefined || first.length >= JOINED_BYTES) return first
  const joined = [first]
  let bytes = first.length
  for (let chunk = chunks.pop(); chunk !== undefined; chunk = chunks.pop()) {
    if (bytes + chunk.length > JOINED_BYTES) {
      chunks.push(chunk)
      break
    }
    joined.push(chunk)
    bytes += chunk.length
  }
  return joined.length === 1 ? first : Buffer.concat(joined, bytes)
}
