/**
 * What the file of the addon looks like before it is loaded. The system's loader maps whatever it is given: half a file,
 * as a full disk leaves it, kills the process by SIGBUS later, and one for another processor is "not found".
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'

/** The platform packages that can hold the addon, with the file in them. Both C libraries may be installed. */
function candidates(): [string, string][] {
  const names = ['gnu', 'musl'].map((libc) => `linux-${process.arch}-${libc}`)
  return names.map((name) => [`@shellflip/node-${name}`, `shellflip.${name}.node`])
}

/**
 * Why an addon that is there should not be loaded, naming its file; null if nothing is wrong with it, or none is there.
 * Only of Linux: a Mac checks a signature over the whole file itself.
 */
export function addonDamage(): string | null {
  if (process.platform !== 'linux') return null
  for (const [name, file] of candidates()) {
    const path = addonPath(name, file)
    const damage = path === null ? null : damageOf(path)
    if (damage !== null) return `${path}: ${damage}`
  }
  return null
}

function addonPath(name: string, file: string): string | null {
  const built = join(__dirname, 'native', file)
  if (existsSync(built)) return built
  try {
    return require.resolve(name)
  } catch {
    return null
  }
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
