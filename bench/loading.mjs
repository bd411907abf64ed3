// What the addon, and the package, cost a process that loads them, against one of the same Node that loads nothing: time
// from spawn to exit, and resident memory. By require() and by import, in a first generation (which loads the addon when
// it is wanted) and in a later one (which loads it at once); and what Node itself takes for a package with nothing in it.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../__test__/support/load/program.mjs'
import { alternate, row } from './lib/measure.mjs'

/** A variable of an old generation's; alone it leads to no restart. */
const LATER = { SHELLFLIP_GENERATION: '2' }
const TELL = `console.log(JSON.stringify({ ms: performance.now() - begun, megabytes: process.memoryUsage.rss() / 2 ** 20 }))`

/** A folder where the package is installed, and beside it one of the same shape with nothing in it. */
function install() {
  const folder = mkdtempSync(join(tmpdir(), 'shellflip-loading-'))
  const empty = join(folder, 'node_modules/empty')
  mkdirSync(join(empty, 'dist'), { recursive: true })
  mkdirSync(join(folder, 'node_modules/@shellflip'))
  symlinkSync(ROOT, join(folder, 'node_modules/@shellflip/node'))
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  writeFileSync(join(empty, 'package.json'), JSON.stringify({ ...manifest, name: 'empty' }))
  for (const name of ['index.js', 'node.mjs']) writeFileSync(join(empty, 'dist', name), '')
  return folder
}

export async function measure({ rounds }) {
  const folder = install()
  try {
    return await measureIn(folder, rounds)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function measureIn(folder, rounds) {
  let programs = 0
  /** A side: the cost of a process that does `code`, in an environment with these variables. */
  const side = (extension, code, env = {}) => {
    const program = join(folder, `${programs++}.${extension}`)
    writeFileSync(program, `const begun = performance.now()\n${code}\n${TELL}\n`)
    const options = { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' }
    return () => {
      const begun = performance.now()
      const { stdout } = spawnSync(process.execPath, [program], options)
      return { process: performance.now() - begun, ...JSON.parse(stdout) }
    }
  }
  const native = join(ROOT, 'dist/native')
  const addon = readdirSync(native).find((name) => name.endsWith('.node'))
  const sides = {
    bare: side('cjs', ''),
    addon: side('cjs', `require('${join(native, addon)}')`),
    path: side('cjs', `require('${ROOT}')`),
    requireEmpty: side('cjs', "require('empty')"),
    require: side('cjs', "require('@shellflip/node')"),
    requireLater: side('cjs', "require('@shellflip/node')", LATER),
    bareModule: side('mjs', ''),
    importEmpty: side('mjs', "import 'empty'"),
    import: side('mjs', "import '@shellflip/node'"),
    importLater: side('mjs', "import '@shellflip/node'", LATER),
  }
  await alternate(2, sides)
  const measured = await alternate(rounds(51), sides)
  const of = (name, what) => measured[name].map((sample) => sample[what])
  const against = (unit, key, atMost) => (what, name, bare, budget) =>
    row({
      ...{ what, unit, ours: of(name, key), other: of(bare, key), against: 'bare Node' },
      budget: budget === false ? undefined : { of: 'difference', atMost },
    })
  const time = against('ms', 'process', 3)
  const memory = against('MB', 'megabytes', 5)
  const inside = (what, name) => row({ what, unit: 'ms', ours: of(name, 'ms'), budget: { of: 'median', atMost: 3 } })
  return [
    inside('loading the addon', 'addon'),
    memory('resident with the addon', 'addon', 'bare'),
    inside('loading the package by its path', 'path'),
    time('a process that requires an empty package', 'requireEmpty', 'bare', false),
    time('one that requires this package', 'require', 'bare'),
    time('the same, in a new generation', 'requireLater', 'bare', false),
    time('a process that imports an empty package', 'importEmpty', 'bareModule', false),
    time('one that imports this package', 'import', 'bareModule'),
    time('the same, in a new generation', 'importLater', 'bareModule', false),
    memory('resident with the package', 'import', 'bareModule'),
    memory('the same, in a new generation', 'importLater', 'bareModule'),
  ]
}
