// Bytes per second through the handover pipe, from hook to reader, against a pipe between two Node processes made by the
// shell. The reader takes the time from its first chunk to the end.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Program, ROOT } from '../__test__/support/load/program.mjs'
import { alternate, row } from './lib/measure.mjs'

const MEGABYTES = '256'
const programs = join(ROOT, 'bench/programs')

const rateIn = (line) => Number(/received at (\S+) MB\/s/.exec(line)[1])

async function plainPipe() {
  const command = '"$0" "$1/pipe-plain.mjs" write | "$0" "$1/pipe-plain.mjs" read'
  const env = { ...process.env, MEGABYTES }
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, programs], { env })
  return rateIn(stdout)
}

async function handover() {
  const service = await Program.start('bench/programs/pipe-service.mjs', { env: { MEGABYTES } })
  try {
    const [line] = await Promise.all([service.printed(/received at/), service.restart()])
    return rateIn(line)
  } finally {
    await service.stop()
  }
}

export async function measure({ rounds }) {
  const { ours, other } = await alternate(rounds(9), { other: plainPipe, ours: handover })
  const budget = { of: 'ratio', atLeast: 0.9 }
  return [row({ what: 'handover pipe', unit: 'MB/s', ours, other, against: 'plain pipe', budget })]
}
