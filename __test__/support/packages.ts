/**
 * What some tests want of npm and the package does not depend on: the first test that wants it installs it, in the
 * versions and with the checksums of the package-lock.json in the folder that describes it.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './run'

const INSTALL_DEADLINE_MS = 300_000

/** The folder in which what __test__/support/`name` describes is installed; made by whoever comes first. */
export async function installed(name: string): Promise<string> {
  const wanted = join(root, '__test__/support', name)
  const lock = readFileSync(join(wanted, 'package-lock.json'))
  const version = createHash('sha256').update(lock).digest('hex').slice(0, 12)
  const cache = join(root, 'node_modules/.cache')
  const place = join(cache, `${name}-${version}`)
  if (existsSync(place)) return place
  mkdirSync(cache, { recursive: true })
  const own = mkdtempSync(join(cache, 'installing-'))
  try {
    cpSync(wanted, own, { recursive: true })
    const foreign = Object.keys(process.env).filter((name) => name.startsWith('npm_'))
    const { code, stderr } = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: own,
      env: Object.fromEntries(foreign.map((name) => [name, undefined])),
      deadlineMs: INSTALL_DEADLINE_MS,
    })
    if (code !== 0) throw new Error(`${name} could not be installed:\n${stderr}`)
    renameSync(own, place)
  } catch (error) {
    // Somebody else was faster.
    if (!existsSync(place)) throw error
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
  return place
}
