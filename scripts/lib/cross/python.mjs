// A Python environment of our own, most of which is zig: a system's Python may have no pip, and lets nobody install into it.
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../run.mjs'
import { cache } from './cache.mjs'

const folder = join(cache, 'zig')

/**
 * Runs pip, in an environment that is made by the first who wants it.
 *
 * @param {string[]} args
 * @returns {Promise<string>} the folder of the environment's programs
 */
export async function pip(args) {
  const programs = join(folder, 'bin')
  // It comes last.
  if (!existsSync(join(programs, 'pip'))) {
    rmSync(folder, { recursive: true, force: true })
    await must('python3', ['-m', 'venv', folder])
  }
  await must(join(programs, 'pip'), ['--quiet', ...args])
  return programs
}
