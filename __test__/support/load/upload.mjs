// A body that is on its way for about a second: a restart finds it half arrived.
import { createHash, randomBytes } from 'node:crypto'

const PIECES = 20
const PIECE_BYTES = 8192
const EVERY_MS = 50

export class Upload {
  pieces = Array.from({ length: PIECES }, () => randomBytes(PIECE_BYTES))
  everyMs = EVERY_MS

  /** In bytes. */
  get length() {
    return PIECES * PIECE_BYTES
  }

  /** SHA-256 in hex: what the answer must name. */
  get digest() {
    return this.pieces.reduce((hash, piece) => hash.update(piece), createHash('sha256')).digest('hex')
  }
}
