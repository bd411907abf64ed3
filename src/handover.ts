/**
 * State for the new generation, through the handover pipe: one structured-cloneable value (`handover`) or the
 * application's own bytes (`lifecycle.sendToNewProcess`). Whatever goes wrong here fails the restart, not this process.
 */
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { messageOf } from './errors'
import { fromNative } from './failures'
import { trace } from './logger'
import type { Engine, NativeFailure } from './native'
import type { Settings } from './options'
import { encodeState } from './state'

/** Bytes given to the pipe at once, and buffered before a writer is told to wait. */
const PIECE_BYTES = 1024 * 1024

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

  /** The engine has dealt with one chunk. */
  written(id: number, failure: NativeFailure | undefined): void {
    this.#pipe?.settle(id, failure === undefined ? null : fromNative(failure))
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
    for (const part of encode(await handover())) {
      for (let at = 0; at < part.length; at += PIECE_BYTES) await pipe.put(part.subarray(at, at + PIECE_BYTES))
    }
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

/** The handover pipe as a stream: a write is done when the kernel has taken it. */
class HandoverPipe extends Writable {
  static #ids = 0

  readonly #engine: Engine
  #pending: { id: number; done: (error: Error | null) => void } | null = null

  constructor(engine: Engine) {
    super({ highWaterMark: PIECE_BYTES })
    this.#engine = engine
    // A hook that does not listen must not end the process by it: the restart fails, and that is reported.
    this.on('error', () => {})
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error: Error | null) => void): void {
    this.#send([chunk], done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error: Error | null) => void): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  #send(piece: Buffer[], done: (error: Error | null) => void): void {
    HandoverPipe.#ids += 1
    this.#pending = { id: HandoverPipe.#ids, done }
    this.#engine.handoverWrite(HandoverPipe.#ids, piece)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // A write under way is not answered any more, but whoever awaits it must be.
    const pending = this.#pending
    this.#pending = null
    pending?.done(error ?? new Error('the handover pipe was destroyed'))
    done(error)
  }

  settle(id: number, error: Error | null): void {
    const pending = this.#pending
    if (pending?.id !== id) return
    this.#pending = null
    pending.done(error)
  }

  /** Writes and waits. */
  put(chunk: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.write(chunk, (error) => (error ? reject(error) : resolve()))
    })
  }
}
