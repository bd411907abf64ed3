/**
 * What the file of the addon looks like before it is loaded. The system's loader maps whatever it is given: half a file,
 * as a full disk leaves it, kills the process by SIGBUS later, and one for another processor is "not found".
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Why an addon that is there should not be loaded, naming its file; null if nothing is wrong with it, or none is there.
 * Only of Linux: a Mac checks a signature over the whole file itself.
 */
export function addonDamage(): string | null {
  if (process.platform !== 'linux') return null
  for (const path of addonPaths()) {
    const damage = damageOf(path)
    if (damage !== null) return `${path}: ${damage}`
  }
  return null
}

/** The addons that are there: both C libraries' may be installed. */
function addonPaths(): string[] {
  const names = ['gnu', 'musl'].map((libc) => `linux-${process.arch}-${libc}`)
  const near = names.flatMap((name) => {
    const file = `shellflip.${name}.node`
    // As built here; and where package managers lay the platform package, beside ours.
    return [join(__dirname, 'native', file), join(__dirname, '../..', `node-${name}`, file)]
  })
  const found = near.filter((path) => existsSync(path))
  if (found.length > 0) return found
  // Node's own search takes a millisecond if it is in vain.
  return names.flatMap((name) => {
    try {
      return [require.resolve(`@shellflip/node-${name}`)]
    } catch {
      return []
    }
  })
}

/** e_machine of an ELF file. */
const MACHINES: Record<string, number> = { x64: 62, arm64: 183 }
/** Bytes of an ELF header of 64 bits. */
const HEADER = 64

/** What is wrong with the shared object, or null. */
function damageOf(path: string): string | null {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch {
    // The loader says why.
    return null
  }
  try {
    const header = Buffer.alloc(HEADER)
    const read = readSync(descriptor, header, 0, HEADER, 0)
    const { size } = fstatSync(descriptor)
    if (read < HEADER) return `file too short (${size} bytes)`
    if (header.toString('latin1', 0, 4) !== '\x7fELF') return 'not a shared object of Linux'
    // 64 bits, little end first: both of our processors.
    if (header[4] !== 2 || header[5] !== 1 || header.readUInt16LE(18) !== MACHINES[process.arch])
      return `not made for ${process.arch}`
    // The section headers are the last thing in the file.
    const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60)
    return size < end ? `file too short (${size} of ${end} bytes)` : null
  } finally {
    closeSync(descriptor)
  }
}
