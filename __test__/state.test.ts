import { describe, expect, it } from 'vitest'
import { decodeState, encodeState } from '../src/state'
import { fuzzDecoder } from './support/state-fuzzer.mjs'

const bytesOf = (value: unknown) => Buffer.concat(encodeState(value))

describe('a state goes through the pipe unchanged', () => {
  it.each([
    [undefined],
    [null],
    [0],
    ['text'],
    [{ n: 1, map: new Map([['a', new Set([1n])]]), at: new Date(0), re: /x/g }],
  ])('%o', (value) => expect(decodeState(bytesOf(value))).toEqual({ state: value, cutShort: false }))

  it('with cycles and bytes', () => {
    const value: Record<string, unknown> = { bytes: new Uint8Array([1, 2]) }
    value.self = value
    const decoded = decodeState(bytesOf(value)) as { state: typeof value }
    expect(decoded.state.self).toBe(decoded.state)
    expect(decoded.state.bytes).toEqual(new Uint8Array([1, 2]))
  })

  it('but not what cannot be cloned', () => {
    expect(() => encodeState({ job: () => 1 })).toThrow(/could not be cloned/)
  })
})

describe('a state that is not whole is not an error: its sender is gone', () => {
  const whole = bytesOf({ text: 'x'.repeat(300) })
  it.each([0, 1, 10, 20, 40, whole.length - 1])('%i bytes of it', (length) => {
    expect(decodeState(whole.subarray(0, length))).toMatchObject({ cutShort: true })
  })
})

describe('a state that is not ours is refused', () => {
  const refused = (bytes: Buffer) => {
    try {
      return decodeState(bytes)
    } catch (error) {
      return error as Error & { code: string }
    }
  }

  it.each([
    ['raw bytes', Buffer.from('hello world\n')],
    ['raw bytes without a line', Buffer.alloc(1000, 'x')],
    ['a later version', Buffer.from('shellflip-state 2 v8 0\n')],
    ["Bun's serialisation", Buffer.from('shellflip-state 1 jsc 2\nab')],
    ['no length', Buffer.from('shellflip-state 1 v8\nabcd')],
    ['a length that is no number', Buffer.from('shellflip-state 1 v8 Infinity\nabcd')],
    ['more bytes than announced', Buffer.concat([bytesOf(1), Buffer.from('x')])],
    ['bytes that V8 does not know', Buffer.from('shellflip-state 1 v8 4\nabcd')],
  ])('%s', (_, bytes) => {
    expect(refused(bytes)).toMatchObject({ code: 'ERR_SHELLFLIP_INHERITANCE' })
  })

  it('naming both runtimes', () => {
    expect(refused(Buffer.from('shellflip-state 1 jsc 2\nab'))).toMatchObject({
      message: expect.stringContaining('serialised by Bun, and this process is Node.js') as string,
    })
  })
})

it('a damaged state is read, called cut short, or refused by that one error', () => {
  expect(fuzzDecoder({ decodeState, encodeState }, 1, 2000)).toBe(2000)
})
