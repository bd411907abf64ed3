// What the addon, and the package with it, cost a process that loads them: time, and resident memory against a bare Node.
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../__test__/support/load/program.mjs'
import { alternate, row } from './lib/measure.mjs'

const script = join(ROOT, 'bench/programs/loading.cjs')

/** @param {string} [module]  path of what to load */
async function load(module) {
  const args = module ? [script, module] : [script]
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout)
}

export async function measure({ rounds }) {
  const native = join(ROOT, 'dist/native')
  const addon = join(
    native,
    readdirSync(native).find((name) => name.endsWith('.node')),
  )
  const sides = { bare: () => load(), addon: () => load(addon), whole: () => load(ROOT) }
  await alternate(2, sides)
  const { bare, addon: loaded, whole } = await alternate(rounds(21), sides)
  const ms = (samples) => samples.map((sample) => sample.ms)
  const megabytes = (samples) => samples.map((sample) => sample.megabytes)
  const memory = { unit: 'MB', other: megabytes(bare), against: 'bare Node', budget: { of: 'difference', atMost: 5 } }
  return [
    row({ what: 'loading the addon', unit: 'ms', ours: ms(loaded), budget: { of: 'median', atMost: 3 } }),
    row({ what: 'resident with the addon', ours: megabytes(loaded), ...memory }),
    row({ what: 'importing the package', unit: 'ms', ours: ms(whole), budget: { of: 'median', atMost: 3 } }),
    row({ what: 'resident with the package', ours: megabytes(whole), ...memory }),
  ]
}
