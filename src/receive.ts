/**
 * What the old generation sent, at its reading end. The pipe is read once: by `receiveFromOldProcess()` if the old one
 * sends bytes, by the service itself if it sends a value (`service.inherited`).
 */
import { Readable } from 'node:stream'
import { type Deferred, deferred } from './deferred'
import { fromNative } from './errors'
import type { Engine, NativeFailure } from './native'
import { native } from './native'

/** The pipe's reading end: one chunk for each call, null at the end. */
export class HandoverReader {
  readonly #engine: Engine
  readonly #waiting: Deferred<Buffer | null>[] = []

  constructor(engine: Engine) {
    this.#engine = engine
  }

  read(): Promise<Buffer | null> {
    const next = deferred<Buffer | null>()
    this.#waiting.push(next)
    this.#engine.readHandover()
    return next.promise
  }

  async readAll(): Promise<Buffer> {
    const chunks: Buffer[] = []
    for (let chunk = await this.read(); chunk !== null; chunk = await this.read()) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  /** The engine's answer to a read. */
  deliver(chunk: Buffer | undefined, failure: NativeFailure | undefined): void {
    const waiting = this.#waiting.shift()
    if (failure !== undefined) waiting?.reject(fromNative(failure))
    else waiting?.resolve(chunk ?? null)
  }
}

/** The reader once the service has started; null if there is nothing to be read as bytes. */
const source = deferred<HandoverReader | null>()
let taken = false

/** The service knows now what the old generation sends. */
export function offerHandover(reader: HandoverReader | null): void {
  source.resolve(reader)
}

/**
 * The bytes that the old generation's `lifecycle.sendToNewProcess` writes, as a stream that ends when it is done: an
 * empty one if it sends none. Null in a first process and on a second call. May be called before `shellflip()`; the bytes
 * come once that has been called. Read it to its end before `service.ready()`: what is unread then is dropped.
 */
export function receiveFromOldProcess(): Readable | null {
  if (taken || native === null || !native.inheritance().old) return null
  taken = true
  return new Readable({
    read() {
      source.promise
        .then((reader) => reader?.read() ?? null)
        .then(
          (chunk) => this.push(chunk),
          (error: Error) => this.destroy(error),
        )
    },
  })
}
