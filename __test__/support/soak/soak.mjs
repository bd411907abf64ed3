// A service restarted again and again under load while it works beside its serving, and what that costs and leaves behind.
//   const { rows, problems } = await soak(500, (row) => console.log(row))
//   problems.length === 0
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { certificate } from '../load/certificate.mjs'
import { Program, temporaryFolder } from '../load/program.mjs'
import { Soaked } from './soaked.mjs'
import { problemsOf } from './verdict.mjs'

/** What the service may print. All else is a complaint: of the fixture, of the package, or of Node. */
const EXPECTED = /^\{"event":"(ready|resting)",/

/** The service is looked at so many times at least, and after so many restarts at most. */
const LOOKS = 2
const MOST_BETWEEN_LOOKS = 100

/**
 * @param {number} restarts
 * @param {(row: import('./verdict.mjs').Row) => void} [onRow]  told of each row at once
 * @returns {Promise<{ rows: import('./verdict.mjs').Row[], problems: string[] }>}
 *   problems: what was lost, grew or is left, in words; rejects if a restart failed
 */
export async function soak(restarts, onRow = () => {}) {
  const folder = temporaryFolder()
  const { key, cert } = certificate()
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 })
  writeFileSync(join(folder, 'cert.pem'), cert)
  const given = readdirSync(folder)
  const shared = sharedMemory()
  const program = new Program('__test__/fixtures/soaked.mjs', {
    args: ['key.pem', 'cert.pem', 'app.sock'].map((name) => join(folder, name)),
    env: { TMPDIR: folder },
    nodeArgs: ['--expose-gc'],
    detached: true,
  })
  const clean = () => {
    program.killSync()
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', clean)
  try {
    const soaked = new Soaked(program, cert)
    await soaked.begin()
    for (const mark of marks(restarts)) onRow(await soaked.restartedUntil(mark))
    await soaked.end()
    const problems = problemsOf(soaked.rows)
    problems.push(...program.output.filter((line) => !EXPECTED.test(line)))
    for (const name of readdirSync(folder)) if (!given.includes(name)) problems.push(`${name} is left in $TMPDIR`)
    for (const name of sharedMemory()) if (!shared.includes(name)) problems.push(`${name} is left in /dev/shm`)
    return { rows: soaked.rows, problems }
  } catch (error) {
    if (error instanceof Error) error.message += `\nthe service said:\n${program.output.slice(-20).join('\n')}`
    throw error
  } finally {
    process.off('exit', clean)
    await program.kill()
    clean()
  }
}

/**
 * After how many restarts it is looked at. The first time after one: generation 1 holds whatever descriptors its starter
 * left open; the launcher closes them for every later one.
 * @param {number} restarts
 */
function marks(restarts) {
  const step = Math.min(MOST_BETWEEN_LOOKS, Math.ceil(restarts / LOOKS))
  const between = Array.from({ length: Math.ceil(restarts / step) - 1 }, (_, index) => (index + 1) * step)
  return [...new Set([1, ...between, restarts])]
}

/** What of ours lies in /dev/shm. @returns {string[]} */
function sharedMemory() {
  return readdirSync('/dev/shm').filter((name) => name.includes('shellflip'))
}
