// Damages states, and asserts that their decoder either reads them, calls them cut short, or refuses them by its one
// error.
import { generator } from './random.mjs'

const VALUES = [
  undefined,
  42,
  'text',
  { n: 1, map: new Map([['a', new Set([1n])]]), at: new Date(0), re: /x/g },
  new Uint8Array([1, 2, 3]),
  Array.from({ length: 50 }, (_, index) => ({ index, text: 'x'.repeat(index) })),
]
const HEADS = ['', '1', '-1', '0x10', '1e3', 'Infinity', '999999999999999999999', ' 5', '5 5', '\0']

/** Decodes that many damaged states; returns the number. Throws what no damage may lead to. */
export function fuzzDecoder({ decodeState, encodeState }, seed, count) {
  const random = generator(seed)
  const wholes = VALUES.map((value) => Buffer.concat(encodeState(value)))
  for (let done = 0; done < count; done++) {
    const bytes = damaged(wholes[random(wholes.length)], random)
    try {
      const decoded = decodeState(bytes)
      if (decoded.cutShort && decoded.received > bytes.length) throw new Error('more came than was sent')
    } catch (error) {
      if (error.code === 'ERR_SHELLFLIP_INHERITANCE') continue
      throw new Error(`seed ${seed}: ${bytes.toString('hex')}: ${error.message}`, { cause: error })
    }
  }
  return count
}

function damaged(whole, random) {
  const bytes = Buffer.from(whole)
  switch (random(5)) {
    case 0:
      return bytes.subarray(0, random(bytes.length))
    case 1:
      return Buffer.concat([bytes, Buffer.alloc(random(20), random(256))])
    case 2:
      return Buffer.from(bytes.toString('latin1').replace(/\d+\n/, `${HEADS[random(HEADS.length)]}\n`), 'latin1')
    case 3:
      return Buffer.from(Array.from({ length: random(200) }, () => random(256)))
    default:
      for (let flips = random(6); flips >= 0; flips--) bytes[random(bytes.length)] ^= 1 << random(8)
      return bytes
  }
}
