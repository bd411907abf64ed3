import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { HandoverSender } from '../src/handover'
import type { Engine, NativeFailure } from '../src/native'
import { validateOptions } from '../src/options'
import { decodeState } from '../src/state'
import type { ServiceOptions } from '../src/types'

/** The engine's side of the pipe: takes chunks when it is told to. */
class FakePipe {
  readonly chunks: Buffer[] = []
  readonly waiting: number[] = []
  outcome: string | undefined | null = null
  answer: (id: number) => void = (id) => this.sender?.written(id, undefined)
  sender: HandoverSender<unknown> | null = null

  handoverWrite(id: number, piece: Buffer[]): void {
    this.chunks.push(...piece.map((chunk) => Buffer.from(chunk)))
    setImmediate(() => this.answer(id))
  }

  handoverDone(_attempt: number, failure?: string): void {
    this.outcome = failure
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

function sending(options: ServiceOptions): FakePipe {
  const pipe = new FakePipe()
  pipe.sender = new HandoverSender(pipe as unknown as Engine, validateOptions(options))
  return pipe
}

describe('a value', () => {
  it('is sent whole, in pieces', async () => {
    const value = { text: 'x'.repeat(3_000_000) }
    const pipe = sending({ handover: async () => value })
    await pipe.sender?.send(1)
    expect(pipe.outcome).toBeUndefined()
    expect(pipe.chunks.length).toBeGreaterThan(3)
    expect(decodeState(pipe.bytes)).toEqual({ state: value, cutShort: false })
  })

  it('that cannot be cloned fails the restart, and says so', async () => {
    const pipe = sending({ handover: () => ({ job() {} }) })
    await pipe.sender?.send(1)
    expect(pipe.outcome).toMatch(/^handover\(\) failed: .*could not be cloned/)
    expect(pipe.chunks).toEqual([])
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
    const pipe = sending({
      lifecycle: {
        async sendToNewProcess(stream) {
          if (!stream.write(Buffer.alloc(2 ** 20))) await once(stream, 'drain')
          drained = true
        },
      },
    })
    const ids: number[] = []
    pipe.answer = (id) => ids.push(id)
    const sent = pipe.sender?.send(1)
    await turn()
    await turn()
    expect(drained).toBe(false)
    pipe.sender?.written(ids[0] ?? 0, undefined)
    await sent
    expect(drained).toBe(true)
  })

  it('that the system refuses fail the restart', async () => {
    const pipe = sending({ lifecycle: { sendToNewProcess: (stream) => void stream.write('a') } })
    const failure: NativeFailure = { message: 'write EPIPE', errno: 32, syscall: 'write' }
    pipe.answer = (id) => pipe.sender?.written(id, failure)
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
    pipe.answer = () => {}
    const sent = pipe.sender?.send(1)
    await turn()
    pipe.sender?.stop(new Error('rolled back'))
    await sent
    expect((heard as Error).message).toBe('rolled back')
    expect(pipe.outcome).toBeNull()
  })
})
