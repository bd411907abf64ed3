// Makes node_modules what package-lock.json says, and touches nothing if it already is.
import { readFileSync } from 'node:fs'
import { must, root } from './run.mjs'

/** Runs `npm ci` unless every package of the lockfile is installed in its version. */
export async function installDependencies() {
  const difference = firstDifference()
  if (!difference) return
  console.log(`npm ci (${difference})`)
  await must('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
}

function firstDifference() {
  const wanted = packagesOf(`${root}/package-lock.json`)
  const installed = packagesOf(`${root}/node_modules/.package-lock.json`)
  if (!wanted) throw new Error('package-lock.json is missing or broken: restore it with git')
  if (!installed) return 'node_modules is missing'
  for (const [path, { version, optional, link }] of Object.entries(wanted)) {
    if (path === '' || link) continue
    const there = installed[path]
    // Optional packages are for other platforms, or absent for a reason of npm's own.
    if (!there && !optional) return `${path} is missing`
    if (there && there.version !== version) return `${path} is ${there.version}, not ${version}`
  }
  return undefined
}

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages
  } catch {
    return undefined
  }
}
