/**
 * Bun and Deno, as npm has them. They are no dependencies of the package, which most who work on it need not wait for:
 * the first test that wants one installs both, in the versions and with the checksums of runtimes/package-lock.json.
 */
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { root, run } from './run'

const WANTED = join(root, '__test__/support/runtimes')
const INSTALL_DEADLINE_MS = 300_000

/** A runtime's program. Installs it; rejects if that fails or there is none for this platform. */
export async function runtime(name: 'bun' | 'deno'): Promise<string> {
  const arch = process.arch
  const file =
    name === 'bun' ? `@oven/bun-linux-${arch === 'arm64' ? 'aarch64' : arch}/bin/bun` : `@deno/linux-${arch}-glibc/deno`
  const program = join(await installed(), 'node_modules', file)
  if (!existsSync(program)) throw new Error(`npm has installed no ${name} for ${process.platform} ${arch}: ${program}`)
  return program
}

/** The folder in which they are; made by whoever comes first. */
async function installed(): Promise<string> {
  const lock = readFileSync(join(WANTED, 'package-lock.json'))
  const version = createHash('sha256').update(lock).digest('hex').slice(0, 12)
  const cache = join(root, 'node_modules/.cache')
  const place = join(cache, `runtimes-${version}`)
  if (existsSync(place)) return place
  mkdirSync(cache, { recursive: true })
  const own = mkdtempSync(join(cache, 'installing-'))
  try {
    cpSync(WANTED, own, { recursive: true })
    const foreign = Object.keys(process.env).filter((name) => name.startsWith('npm_'))
    const { code, stderr } = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: own,
      env: Object.fromEntries(foreign.map((name) => [name, undefined])),
      deadlineMs: INSTALL_DEADLINE_MS,
    })
    if (code !== 0) throw new Error(`the runtimes could not be installed:\n${stderr}`)
    renameSync(own, place)
  } catch (error) {
    // Somebody else was faster.
    if (!existsSync(place)) throw error
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
  return place
}

/** Makes `folder` a project of a user's, in which the package and these files of the repository are. */
export function project(folder: string, ...files: string[]): void {
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '@shellflip'), { recursive: true })
  symlinkSync(root, join(modules, '@shellflip/node'))
  // Deno knows only what is named there.
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "dependencies": { "@shellflip/node": "*" } }\n')
  for (const file of files) cpSync(join(root, file), join(folder, file), { recursive: true })
}
