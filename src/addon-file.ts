/**
 * Where the file of the addon is, and what it looks like before it is loaded. The system's loader maps whatever it is
 * given: half a file, as a full disk leaves it, kills the process by SIGBUS later, and one for another processor is
 * "not found".
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isThere } from './there'

/**
 * Why one of these addons should not be loaded, naming its file; null if nothing is wrong with them.
 * Only of Linux: a Mac checks a signature over the whole file itself.
 */
export function addonDamage(paths: readonly string[]): string | null {
  if (process.platform !== 'linux') return null
  for (const path of paths) {
    const damage = damageOf(path)
    if (damage !== null) return `${path}: ${damage}`
  }
  return null
}

/** The addons that Node would find, one at most for each C library: on Linux both may be installed. */
export function addonPaths(): string[] {
  const { platform, arch } = process
  const names = (platform === 'linux' ? ['-gnu', '-musl'] : ['']).map((libc) => `${platform}-${arch}${libc}`)
  const near = names.flatMap((name) => nearby(name).find(isThere) ?? [])
  if (near.length > 0) return near
  // Node's own search takes a millisecond if it is in vain.
  return names.flatMap((name) => {
    try {
      return [require.resolve(`@shellflip/node-${name}`)]
    } catch {
      return []
    }
  })
}

/** As built here; and where package managers lay the platform package, in the order in which Node searches. */
function nearby(name: string): string[] {
  const file = `shellflip.${name}.node`
  const paths = [join(__dirname, 'native', file), join(__dirname, '../node_modules/@shellflip', `node-${name}`, file)]
  const scope = join(__dirname, '../..')
  // Beside a package that was copied anywhere else may lie what others put there.
  return basename(scope) === '@shellflip' ? [...paths, join(scope, `node-${name}`, file)] : paths
}

/** e_machine of an ELF file. */
const MACHINES: Record<string, number> = { x64: 62, arm64: 183 }
/** Bytes of an ELF header of 64 bits. */
const HEADER = 64

/** What is wrong with the shared object, or null. The import of a new generation waits for this: the fewest calls that tell. */
function damageOf(path: string): string | null {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch {
    // The loader says why.
    return null
  }
  try {
    const header = new DataView(new ArrayBuffer(HEADER))
    const tooShort = (of = ''): string => `file too short (${fstatSync(descriptor).size}${of} bytes)`
    if (readSync(descriptor, header, 0, HEADER, 0) < HEADER) return tooShort()
    if (header.getUint32(0) !== 0x7f454c46) return 'not a shared object of Linux'
    // 64 bits, little end first: both of our processors.
    if (header.getUint16(4) !== 0x0201 || header.getUint16(18, true) !== MACHINES[process.arch])
      return `not made for ${process.arch}`
    // The section headers are the last thing in the file.
    const end = Number(header.getBigUint64(40, true)) + header.getUint16(58, true) * header.getUint16(60, true)
    return readSync(descriptor, header, 0, 1, end - 1) < 1 ? tooShort(` of ${end}`) : null
  } catch (error) {
    // A disk that fails, or a directory.
    return (error as Error).message
  } finally {
    closeSync(descriptor)
  }
}
