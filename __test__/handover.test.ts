import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { HandoverSender } from '../src/handover'
import type { Engine, NativeFailure } from '../src/native'
import { validateOptions } from '../src/options'
import { decodeState } from '../src/state'
import type { ServiceOptions } from '../src/types'

/** The engine's side of the pipe: takes as many bytes as it is told to. */
class FakePipe {
  readonly taken: Buffer[] = []
  room = Number.POSITIVE_INFINITY
  failure: NativeFailure | null = null
  outcome: string | undefined | null = null
  sender: HandoverSender<unknown> | null = null

  handoverWrite(bytes: Buffer): number | NativeFailure {
    if (this.failure !== null) return this.failure
    const taken = bytes.subarray(0, this.room)
    this.room -= taken.length
    if (taken.length > 0) this.taken.push(taken)
    return taken.length
  }

  handoverDone(_attempt: number, failure?: string): void {
    this.outcome = failure
  }

  /** The new generation has read. */
  read(bytes: number): void {
    this.room = bytes
    this.sender?.goOn()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.taken)
  }
}

function sending(options: ServiceOptions): FakePipe {
  const pipe = new FakePipe()
  pipe.sender = new HandoverSender(pipe as unknown as Engine, validateOptions(options))
  return pipe
}

describe('a value', () => {
  it('is sent whole', async () => {
    const value = { text: 'x'.repeat(3_000_000) }
    const pipe = sending({ handover: async () => value })
    await pipe.sender?.send(1)
    expect(pipe.outcome).toBeUndefined()
    expect(decodeState(pipe.bytes)).toEqual({ state: value, cutShort: false })
  })

  it('that cannot be cloned fails the restart, and says so', async () => {
    const pipe = sending({ handover: () => ({ job() {} }) })
    await pipe.sender?.send(1)
    expect(pipe.outcome).toMatch(/^handover\(\) failed: .*could not be cloned/)
    expect(pipe.taken).toEqual([])
  })
})

describe('bytes', () => {
  it('end when the hook is done, whether or not it ended the stream', async () => {
    for (const ends of [false, true]) {
      const pipe = sending({
        lifecycle: {
          sendToNewProcess(stream) {
            stream.write('a')
            stream.write(Buffer.from('b'))
            if (ends) stream.end('c')
            else stream.write('c')
          },
        },
      })
      await pipe.sender?.send(1)
      expect(pipe.bytes.toString()).toBe('abc')
      expect(pipe.outcome).toBeUndefined()
    }
  })

  it('are held back while the pipe is full', async () => {
    let drained = false
    const chunk = Buffer.from(Array.from({ length: 2 ** 20 }, (_, index) => index % 251))
    const pipe = sending({
      lifecycle: {
        async sendToNewProcess(stream) {
          if (!stream.write(chunk)) await once(stream, 'drain')
          drained = true
          stream.write('')
          stream.write('the end')
        },
      },
    })
    pipe.room = 1000
    const sent = pipe.sender?.send(1)
    await turn()
    await turn()
    expect(pipe.bytes).toEqual(chunk.subarray(0, 1000))
    pipe.read(2 ** 19)
    await turn()
    await turn()
    expect(drained).toBe(false)
    pipe.read(2 ** 20)
    await sent
    expect(drained).toBe(true)
    expect(pipe.bytes.equals(Buffer.concat([chunk, Buffer.from('the end')]))).toBe(true)
    expect(pipe.outcome).toBeUndefined()
  })

  it('are not copied, but for small ones, of which many go as one', async () => {
    const large = Buffer.alloc(100_000, 'large')
    const numbers = Array.from({ length: 10_000 }, (_, index) => `${index}\n`)
    const pipe = sending({
      lifecycle: {
        sendToNewProcess(stream) {
          stream.write(large)
          for (const number of numbers) stream.write(number)
          stream.write(large)
        },
      },
    })
    pipe.room = large.length
    const sent = pipe.sender?.send(1)
    await turn()
    pipe.read(Number.POSITIVE_INFINITY)
    await sent
    expect(pipe.bytes.equals(Buffer.concat([large, Buffer.from(numbers.join('')), large]))).toBe(true)
    expect(pipe.taken.at(0)?.buffer).toBe(large.buffer)
    expect(pipe.taken.at(-1)?.buffer).toBe(large.buffer)
    expect(pipe.taken.length).toBeLessThan(20)
  })

  it.each([64, 65_536, 8 * 2 ** 20])('leave time for others, in chunks of %i', async (size) => {
    const chunks = (8 * 2 ** 20) / size
    const pipe = sending({
      lifecycle: {
        async sendToNewProcess(stream) {
          for (let chunk = 0; chunk < chunks; chunk++) {
            if (!stream.write(Buffer.alloc(size))) await once(stream, 'drain')
          }
        },
      },
    })
    let mostBytes = 0
    let mostSteps = 0
    let bytes = 0
    let steps = 0
    const count = () => {
      mostBytes = Math.max(mostBytes, pipe.bytes.length - bytes)
      mostSteps = Math.max(mostSteps, pipe.taken.length - steps)
      bytes = pipe.bytes.length
      steps = pipe.taken.length
    }
    let done = false
    const sent = pipe.sender?.send(1).then(() => {
      done = true
    })
    for (; !done; await turn()) count()
    await sent
    count()
    expect(bytes).toBe(8 * 2 ** 20)
    // A turn of the loop may begin in the middle of one of ours.
    expect(mostBytes).toBeLessThanOrEqual(2 * 2 ** 20)
    expect(mostSteps).toBeLessThanOrEqual(2 * 64)
  })

  it('that the system refuses fail the restart', async () => {
    const pipe = sending({ lifecycle: { sendToNewProcess: (stream) => void stream.write('a') } })
    pipe.failure = { message: 'write EPIPE', errno: 32, syscall: 'write' }
    await pipe.sender?.send(1)
    expect(pipe.outcome).toBe('lifecycle.sendToNewProcess failed: write EPIPE: broken pipe')
  })

  it('that nobody wants any more: the hook learns it, and the next restart is not told', async () => {
    let heard: unknown
    const pipe = sending({
      lifecycle: {
        async sendToNewProcess(stream) {
          await new Promise((resolve) => stream.write('a', resolve)).then((error) => {
            heard = error
          })
        },
      },
    })
    pipe.room = 0
    const sent = pipe.sender?.send(1)
    await turn()
    pipe.sender?.stop(new Error('rolled back'))
    await sent
    expect((heard as Error).message).toBe('rolled back')
    pipe.read(1)
    expect(pipe.taken).toEqual([])
    expect(pipe.outcome).toBeNull()
  })

  it('are written no more once the restart is over, though their turn comes', async () => {
    const pipe = sending({
      lifecycle: { sendToNewProcess: (stream) => void stream.write(Buffer.alloc(8 * 2 ** 20)) },
    })
    const sent = pipe.sender?.send(1)
    const { length } = pipe.bytes
    expect(length).toBeGreaterThan(0)
    pipe.sender?.stop(new Error('rolled back'))
    await sent
    await turn()
    await turn()
    expect(pipe.bytes.length).toBe(length)
  })
})
