/**
 * The form of a `handover()` value in the pipe: one line of ASCII, then the bytes of `v8.serialize`.
 *
 *     shellflip-state 1 v8 1234\n
 *
 * The third word names who serialised: Bun's `node:v8` writes another format under the same name, and neither can read
 * the other's. The fourth is the number of bytes that follow, so that a state cut short is told from a foreign one.
 */
import { deserialize, serialize } from 'node:v8'
import { messageOf, ShellflipError } from './errors'

const MAGIC = 'shellflip-state'
const VERSION = '1'
const SERIALIZER = process.versions.bun === undefined ? 'v8' : 'jsc'
const NAMES: Record<string, string> = { v8: 'Node.js or Deno', jsc: 'Bun' }
/** Longer than any head this format can have. */
const HEAD_LIMIT = 128

/** What came through the pipe. `cutShort`: the old generation went away while it was sending. */
export type DecodedState =
  | { state: unknown; cutShort: false }
  | { cutShort: true; received: number; expected: number | null }

/** Whether these first bytes are a value's; undefined if there are too few to tell. */
export function beginsAsState(received: Buffer): boolean | undefined {
  const begin = Buffer.from(`${MAGIC} `, 'latin1')
  const { length } = received.subarray(0, begin.length)
  if (!received.subarray(0, length).equals(begin.subarray(0, length))) return false
  return length === begin.length ? true : undefined
}

/** The head and the bytes of that value. Throws what `v8.serialize` throws: functions, symbols, … cannot be cloned. */
export function encodeState(value: unknown): Buffer[] {
  const bytes = serialize(value)
  return [Buffer.from(`${MAGIC} ${VERSION} ${SERIALIZER} ${bytes.length}\n`, 'latin1'), bytes]
}

/** The value in these bytes. Throws INHERITANCE if they are not of this form, or cannot be deserialised here. */
export function decodeState(received: Buffer): DecodedState {
  const end = received.subarray(0, HEAD_LIMIT).indexOf(0x0a)
  if (end === -1) {
    const head = received.toString('latin1', 0, MAGIC.length)
    if (received.length < HEAD_LIMIT && MAGIC.startsWith(head)) {
      return { cutShort: true, received: received.length, expected: null }
    }
    throw inheritance('it does not begin as a state does')
  }
  const [magic, version, serializer = '', length = ''] = received.toString('latin1', 0, end).split(' ')
  if (magic !== MAGIC) throw inheritance('it does not begin as a state does')
  if (version !== VERSION) throw inheritance(`it is of version ${version}, and this release reads version ${VERSION}`)
  if (serializer !== SERIALIZER) {
    throw inheritance(
      `it was serialised by ${NAMES[serializer] ?? serializer}, and this process is ${NAMES[SERIALIZER]}: ` +
        'to change the runtime, stop and start the service once, or hand over bytes with options.lifecycle',
    )
  }
  if (!/^\d{1,15}$/.test(length)) throw inheritance('its first line gives no length')
  const bytes = received.subarray(end + 1)
  const expected = Number(length)
  if (bytes.length > expected) throw inheritance(`${bytes.length} bytes came, and its first line says ${expected}`)
  if (bytes.length < expected) return { cutShort: true, received: bytes.length, expected }
  try {
    return { state: deserialize(bytes), cutShort: false }
  } catch (error) {
    throw inheritance(`it cannot be deserialised: ${messageOf(error)}`, error)
  }
}

function inheritance(reason: string, cause?: unknown): ShellflipError {
  return new ShellflipError(
    'ERR_SHELLFLIP_INHERITANCE',
    `the state that the old generation handed over cannot be used: ${reason}`,
    { phase: 'handover', cause },
  )
}
