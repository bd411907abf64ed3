/**
 * What the old generation sent, at its reading end. The pipe is read once: by `receiveFromOldProcess()` if the old one
 * sends bytes, by the service itself if it sends a value (`service.inherited`). Which of the two it is, the service
 * learns from the old generation; before there is a service the first bytes tell.
 */
import type { Readable } from 'node:stream'
import { deferred } from './deferred'
import type { Chunk, Incoming } from './incoming'
import { isMainThread } from './late'
import { native, requireNative } from './native'

let incoming: Incoming | null = null
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
  const { CHUNK_BYTES } = require('./incoming') as typeof import('./incoming')
  let forUs: boolean | null = null
  return new stream.Readable({
    highWaterMark: CHUNK_BYTES,
    read() {
      if (forUs) {
        fill(this)
        return
      }
      look().then(
        (isRaw) => {
          forUs = isRaw
          if (isRaw) fill(this)
          else this.push(null)
        },
        (error: Error) => this.destroy(error),
      )
    },
  })
}

/** Gives the stream as much as it takes, now and when there is more. */
function fill(stream: Readable): void {
  try {
    while (!stream.destroyed) {
      const chunk = take()
      if (chunk === undefined) {
        whenMore(() => fill(stream))
        return
      }
      if (!stream.push(chunk)) return
    }
  } catch (error) {
    stream.destroy(error as Error)
  }
}

/** Reads as much as it takes to tell, once. */
function look(): Promise<boolean> {
  const { beginsAsState } = require('./state') as typeof import('./state')
  verdict ??= (async () => {
    const seen: Chunk[] = []
    for (let head = Buffer.alloc(0); ; ) {
      const chunk = await next()
      seen.push(chunk)
      if (chunk !== null) head = Buffer.concat([head, chunk])
      const state = chunk === null ? false : beginsAsState(head)
      if (state === undefined) continue
      looked.push(...seen)
      raw.resolve(!state)
      return raw.promise
    }
  })()
  return verdict
}

async function next(): Promise<Chunk> {
  for (;;) {
    const chunk = take()
    if (chunk !== undefined) return chunk
    await new Promise<void>(whenMore)
  }
}

/** The next chunk; undefined if there is nothing at present. */
function take(): Chunk | undefined {
  const chunk = looked.shift()
  return chunk === undefined ? pipe().take() : chunk
}

function whenMore(go: () => void): void {
  pipe().whenMore(go)
}

function pipe(): Incoming {
  if (incoming === null) {
    const { Incoming } = require('./incoming') as typeof import('./incoming')
    incoming = new Incoming((onReadable) => new (requireNative().HandoverReader)(onReadable))
  }
  return incoming
}
