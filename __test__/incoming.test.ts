/** The reading end of the handover pipe, with a pipe that only pretends. */
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { CHUNK_BYTES, Incoming } from '../src/incoming'
import type { NativeFailure } from '../src/native'

type Found = Buffer | NativeFailure | null

/** Gives what it is told to, and calls back when it is told to. */
class FakePipe {
  readonly found: Found[] = []
  waits = 0
  onReadable = () => {}

  read(into: Buffer): number | NativeFailure | null {
    const found = this.found.shift()
    if (found === undefined) return 0
    return Buffer.isBuffer(found) ? found.copy(into) : found
  }

  wait(): void {
    this.waits += 1
  }
}

function opened(...found: Found[]): { pipe: FakePipe; incoming: Incoming } {
  const pipe = new FakePipe()
  pipe.found.push(...found)
  const incoming = new Incoming((onReadable) => {
    pipe.onReadable = onReadable
    return pipe
  })
  return { pipe, incoming }
}

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

it('gives each read a chunk of its own, of about its size', () => {
  const sizes = [10, CHUNK_BYTES, CHUNK_BYTES - 1, 1, CHUNK_BYTES / 2, CHUNK_BYTES]
  const sent = sizes.map((size, index) => Buffer.alloc(size, index + 1))
  const { incoming } = opened(...sent, null)
  const chunks = sizes.map(() => incoming.take() as Buffer)
  expect(incoming.take()).toBeNull()
  // What Node takes small ones from.
  const pool = Buffer.from('a').buffer.byteLength
  for (const [index, chunk] of chunks.entries()) {
    expect(chunk.equals(sent[index] as Buffer)).toBe(true)
    expect(chunk.buffer.byteLength).toBeLessThanOrEqual(Math.max(2 * chunk.length, pool))
  }
})

it('waits for more, and keeps the process alive meanwhile', () => {
  const { pipe, incoming } = opened()
  const before = timers()
  let resumed = 0
  expect(incoming.take()).toBeUndefined()
  incoming.whenMore(() => {
    resumed += 1
  })
  expect(pipe.waits).toBe(1)
  expect(timers()).toBe(before + 1)
  pipe.found.push(Buffer.from('a'))
  pipe.onReadable()
  expect(resumed).toBe(1)
  expect(timers()).toBe(before)
  expect(incoming.take()?.toString()).toBe('a')
  pipe.onReadable()
  expect(resumed).toBe(1)
})

it('leaves time for others, however fast the old generation writes', async () => {
  const { pipe, incoming } = opened()
  const chunk = Buffer.alloc(CHUNK_BYTES)
  for (const turns of [1, 2, 3]) {
    pipe.found.push(...Array.from({ length: 100 }, () => chunk))
    let bytes = 0
    for (let taken = incoming.take(); taken; taken = incoming.take()) bytes += taken.length
    expect(bytes, `turn ${turns}`).toBe(2 ** 20)
    let resumed = false
    incoming.whenMore(() => {
      resumed = true
    })
    expect(pipe.waits).toBe(0)
    await turn()
    expect(resumed).toBe(true)
  }
})

it('throws what the system says', () => {
  const { incoming } = opened({ code: 'ERR_SHELLFLIP_INHERITANCE', message: 'the handover pipe cannot be read: EIO' })
  expect(() => incoming.take()).toThrow(
    expect.objectContaining({ code: 'ERR_SHELLFLIP_INHERITANCE', message: 'the handover pipe cannot be read: EIO' }),
  )
})
