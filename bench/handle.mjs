// One ShutdownHandle taken and released while another one is held, against an object of plain JavaScript that counts.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../__test__/support/load/program.mjs'
import { row } from './lib/measure.mjs'

export async function measure({ rounds }) {
  const script = join(ROOT, 'bench/programs/handle.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [script, String(rounds(15))])
  const { ours, other } = JSON.parse(stdout)
  const what = 'ShutdownHandle taken and released'
  return [row({ what, unit: 'ns', ours, other, against: 'plain object', budget: { of: 'median', atMost: 100 } })]
}
