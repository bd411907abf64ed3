// Bytes per second through the handover pipe, from hook to reader, against a pipe between two Node processes made by the
// shell. By the clock of the reader, and by the processor time of both ends, which other work on the machine hardly touches.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Program, ROOT } from '../__test__/support/load/program.mjs'
import { alternate, row } from './lib/measure.mjs'

const MEGABYTES = '256'
const programs = join(ROOT, 'bench/programs')

/** What the two ends print. */
const SENT = /^sent in (\S+) ms/m
const RECEIVED = /^received at (\S+) MB\/s in (\S+) ms/m

function figures(printed) {
  const [, sending] = SENT.exec(printed)
  const [, perSecond, receiving] = RECEIVED.exec(printed)
  return {
    perSecond: Number(perSecond),
    perProcessorSecond: (Number(MEGABYTES) * 1e3) / (Number(sending) + Number(receiving)),
  }
}

async function plainPipe() {
  const command = '"$0" "$1/pipe-plain.mjs" write | "$0" "$1/pipe-plain.mjs" read'
  const env = { ...process.env, MEGABYTES }
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', command, process.execPath, programs], { env })
  return figures(stdout + stderr)
}

async function handover() {
  const service = await Program.start('bench/programs/pipe-service.mjs', { env: { MEGABYTES } })
  try {
    const ends = [service.printed(SENT), service.printed(RECEIVED), service.restart()]
    const [sent, received] = await Promise.all(ends)
    return figures(`${sent}\n${received}`)
  } finally {
    await service.stop()
  }
}

export async function measure({ rounds }) {
  const { ours, other } = await alternate(rounds(9), { other: plainPipe, ours: handover })
  const by = (figure) => ({ ours: ours.map(figure), other: other.map(figure) })
  const shared = { unit: 'MB/s', against: 'plain pipe' }
  const budget = { of: 'ratio', atLeast: 0.9 }
  return [
    row({ what: 'handover pipe', ...shared, ...by(({ perSecond }) => perSecond), budget }),
    row({
      what: "the same, per second of both ends' processor time",
      ...shared,
      ...by(({ perProcessorSecond }) => perProcessorSecond),
    }),
  ]
}
