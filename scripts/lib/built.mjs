// For what needs the built package and is run by hand: builds from nothing, but only if something has changed.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { build } from '../build.mjs'
import { root } from './run.mjs'

const sources = [
  'src',
  'crates',
  'Cargo.toml',
  'Cargo.lock',
  'package.json',
  'package-lock.json',
  'tsconfig.build.json',
]

/** Builds unless dist/ is complete and younger than every source. */
export async function ensureBuilt() {
  const reason = staleness()
  if (!reason) return
  console.log(`building (${reason})`)
  await build()
}

function staleness() {
  // The addon is placed last: it is there and young only after a build that went through.
  const native = join(root, 'dist', 'native')
  const addon = existsSync(native) && readdirSync(native).find((name) => name.endsWith('.node'))
  if (!existsSync(join(root, 'node_modules'))) return 'node_modules is missing'
  if (!addon || !existsSync(join(root, 'dist', 'index.js'))) return 'dist is not there yet'
  const built = statSync(join(native, addon)).mtimeMs
  const newer = sources.flatMap(filesIn).find((file) => statSync(file).mtimeMs > built)
  return newer && `${newer.slice(root.length + 1)} is newer`
}

function filesIn(name) {
  const path = join(root, name)
  if (!existsSync(path)) return []
  if (statSync(path).isFile()) return [path]
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.includes(`${join('src', 'native')}/`))
}
