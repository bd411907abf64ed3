/**
 * What the old generation sent, at its reading end. The pipe is read once: by `receiveFromOldProcess()` if the old one
 * sends bytes, by the service itself if it sends a value (`service.inherited`). Which of the two it is, the service
 * learns from the old generation; before there is a service the first bytes tell.
 */
import type { Readable } from 'node:stream'
import { deferred } from './deferred'
import { fromNative } from './failures'
import { LoopHold } from './hold'
import { isMainThread } from './late'
import { native } from './native'

/** Null at the end. */
type Chunk = Buffer | null

const hold = new LoopHold()
/** Read to find out what it is, and not taken by anybody yet. */
const looked: Chunk[] = []
/** True if bytes come for the application; the service's word, or what the first bytes say. */
const raw = deferred<boolean>()
/** Of the one look at the first bytes. */
let verdict: Promise<boolean> | null = null
let taken = false

/** The service knows now what the old generation sends. */
export function tellHandover(kind: 'value' | 'raw' | 'none'): void {
  raw.resolve(kind === 'raw')
}

/** All of it, for the service. */
export async function readHandover(): Promise<Buffer> {
  if (verdict !== null) await verdict
  const chunks: Buffer[] = []
  for (let chunk = await next(); chunk !== null; chunk = await next()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What `receiveFromOldProcess()` gives. */
export function receive(): Readable | null {
  if (taken || native()?.inheritance().old !== true || !isMainThread()) return null
  taken = true
  const stream = require('node:stream') as typeof import('node:stream')
  return new stream.Readable({
    read() {
      look()
        .then(async (forUs) => (forUs ? next() : null))
        .then(
          (chunk) => this.push(chunk),
          (error: Error) => this.destroy(error),
        )
    },
  })
}

/** Reads as much as it takes to tell, once. */
function look(): Promise<boolean> {
  const { beginsAsState } = require('./state') as typeof import('./state')
  verdict ??= (async () => {
    for (let head = Buffer.alloc(0); ; ) {
      const chunk = await read()
      looked.push(chunk)
      if (chunk !== null) head = Buffer.concat([head, chunk])
      const state = chunk === null ? false : beginsAsState(head)
      if (state === undefined) continue
      raw.resolve(!state)
      return raw.promise
    }
  })()
  return verdict
}

function next(): Promise<Chunk> {
  const chunk = looked.shift()
  return chunk === undefined ? read() : Promise.resolve(chunk)
}

function read(): Promise<Chunk> {
  const chunk = deferred<Chunk>()
  const addon = native()
  if (addon === null) chunk.resolve(null)
  else {
    addon.readHandover(({ chunk: bytes, failure }) => {
      if (failure === undefined) chunk.resolve(bytes ?? null)
      else chunk.reject(fromNative(failure))
    })
  }
  return hold.during(chunk.promise)
}
