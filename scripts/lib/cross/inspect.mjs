// Is a compiled file what its platform needs? Found out by reading it, without running it.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { CommandFailed, must, root } from '../run.mjs'
import { machO } from './macho.mjs'
import { GLIBC_FLOOR, MACOS_FLOOR } from './platforms.mjs'

const elfMachines = { x64: 'Advanced Micro Devices X86-64', arm64: 'AArch64' }

/** What every system of that libc has. Zig's unwinder is inside the addon. */
const libraries = {
  gnu: /^(lib(c|m|dl|rt|pthread)\.so\.\d|ld-linux-[\w-]+\.so\.\d)$/,
  musl: /^libc\.so$/,
}

/** Of a platform's package as it is published, in bytes: nearly twice what linux-x64-gnu has. */
const TARBALL_LIMIT = 3_000_000

/** Checks every file that a platform's package says it has, and prints what each is. Throws, naming all faults. */
export async function inspectPackage(platform) {
  const folder = `${root}/npm/${platform.name}`
  const faults = []
  const { files } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
  for (const name of files) {
    const file = `${folder}/${name}`
    if (!existsSync(file))
      throw new CommandFailed(`${file} is not there: \`npm run cross -- ${platform.name}\` makes it`)
    const { faults: found, summary } = await inspect(file, platform)
    console.log(`${name}: ${summary}, ${Math.ceil(statSync(file).size / 1024)} KiB`)
    faults.push(...found.map((fault) => `${platform.name}/${name}: ${fault}`))
  }
  faults.push(...(await inspectTarball(folder, files)).map((fault) => `${platform.name}: ${fault}`))
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

function inspectMacho(image, { arch }) {
  const found = machO(image)
  const faults = []
  if (found.arch !== arch) faults.push(`it is for ${found.arch ?? 'some other processor'}`)
  if (found.type === undefined) faults.push('it is neither program nor library')
  const strange = found.needed.filter((path) => !path.startsWith('/usr/lib/'))
  if (strange.length > 0) faults.push(`it needs ${strange.join(', ')}`)
  // An arm64 Mac kills what bears no signature; anybody's will do.
  if (arch === 'arm64' && !found.signed) faults.push('it is not signed')
  if (newest([found.macos, MACOS_FLOOR[arch]]) !== MACOS_FLOOR[arch]) faults.push(`it needs macOS ${found.macos}`)
  const needs = `needs ${found.needed.join(' ')}, macOS ${found.macos}`
  return { faults, summary: `Mach-O ${found.type} for ${found.arch}, ${needs}` }
}

/** What npm would publish: those files and the documents, and not too much. */
async function inspectTarball(folder, files) {
  const output = await must('npm', ['pack', '--dry-run', '--json', '--loglevel=error'], { cwd: folder, quiet: true })
  // One object by name since npm 11.7, a list before.
  const [packed] = Object.values(JSON.parse(output))
  const expected = [...files, 'LICENSE', 'README.md', 'package.json'].toSorted().join(', ')
  const there = packed.files
    .map(({ path }) => path)
    .toSorted()
    .join(', ')
  const faults = []
  if (there !== expected) faults.push(`the tarball has ${there}, not ${expected}`)
  if (packed.size > TARBALL_LIMIT) faults.push(`the tarball has ${packed.size} bytes`)
  console.log(`tarball: ${Math.ceil(packed.size / 1024)} KiB`)
  return faults
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
