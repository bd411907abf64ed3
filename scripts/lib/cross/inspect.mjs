// Is a compiled file what its platform needs? Found out by reading it, without running it.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { CommandFailed, must, root } from '../run.mjs'
import { GLIBC_FLOOR } from './platforms.mjs'

const elfMachines = { x64: 'Advanced Micro Devices X86-64', arm64: 'AArch64' }
const machoProcessors = { x64: 0x01000007, arm64: 0x0100000c }

/** What every system of that libc has. Zig's unwinder is inside the addon. */
const libraries = {
  gnu: /^(lib(c|m|dl|rt|pthread)\.so\.\d|ld-linux-[\w-]+\.so\.\d)$/,
  musl: /^libc\.so$/,
}

/** Checks every file that a platform's package says it has, and prints what each is. Throws, naming all faults. */
export async function inspectPackage(platform) {
  const folder = `${root}/npm/${platform.name}`
  const faults = []
  for (const name of JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')).files) {
    const file = `${folder}/${name}`
    if (!existsSync(file))
      throw new CommandFailed(`${file} is not there: \`npm run cross -- ${platform.name}\` makes it`)
    const { faults: found, summary } = await inspect(file, platform)
    console.log(`${name}: ${summary}, ${Math.ceil(statSync(file).size / 1024)} KiB`)
    faults.push(...found.map((fault) => `${platform.name}/${name}: ${fault}`))
  }
  if (faults.length > 0) throw new CommandFailed(faults.join('\n'))
}

/**
 * The faults of one file, none if it is right.
 *
 * @param {string} file its path
 * @param {import('./platforms.mjs').Platform} platform what it is for
 * @returns {Promise<{ faults: string[], summary: string }>} the summary says what was found
 */
export function inspect(file, platform) {
  return platform.os === 'linux' ? inspectElf(file, platform) : inspectMacho(readFileSync(file), platform)
}

async function inspectElf(file, { arch, libc }) {
  const text = await must('readelf', ['-W', '-h', '-l', '-d', '-V', file], { quiet: true, env: { LC_ALL: 'C' } })
  const machine = /Machine:\s+(.*)/.exec(text)?.[1]
  const needed = [...text.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name)
  const glibc = newest([...text.matchAll(/\bName: GLIBC_([\d.]+)/g)].map(([, version]) => version))
  const interpreter = /program interpreter: (.*)\]/.exec(text)?.[1]
  const faults = []
  if (machine !== elfMachines[arch]) faults.push(`it is for ${machine}`)
  if (file.endsWith('.node')) {
    const strange = needed.filter((name) => !libraries[libc].test(name))
    if (strange.length > 0) faults.push(`it needs ${strange.join(', ')}`)
    if (newest([glibc, GLIBC_FLOOR]) !== GLIBC_FLOOR) faults.push(`it needs glibc ${glibc}`)
    // A library unloaded under its own living thread crashes worker threads.
    if (!/\(FLAGS_1\).*\bNODELETE\b/.test(text)) faults.push('it may be unloaded (no NODELETE)')
  } else if (interpreter || needed.length > 0) {
    faults.push(`it is not static: ${[interpreter, ...needed].filter(Boolean).join(', ')}`)
  }
  const uses = glibc === '0' ? '' : `, glibc ${glibc}`
  return { faults, summary: `${machine}, ${needed.length > 0 ? `needs ${needed.join(' ')}` : 'static'}${uses}` }
}

/** A 64-bit program or library of a Mac: magic, processor, and its type (2: program; 6, 8: library). */
function inspectMacho(image, { arch }) {
  const [magic, processor, , type] = [0, 4, 8, 12].map((offset) => image.readUInt32LE(offset))
  const faults = []
  if (magic !== 0xfeedfacf) faults.push('it is not a 64-bit Mach-O file')
  else if (processor !== machoProcessors[arch]) faults.push(`it is for processor ${processor.toString(16)}`)
  else if (![2, 6, 8].includes(type)) faults.push(`it is neither program nor library, but of type ${type}`)
  return { faults, summary: `Mach-O ${type === 2 ? 'program' : 'library'} for ${arch}` }
}

/** The highest of some version numbers; `0` of none. */
export function newest(versions) {
  return (
    versions
      .filter(Boolean)
      .toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      .at(-1) ?? '0'
  )
}
