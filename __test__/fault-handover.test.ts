/** Promise 3: the handover fails, on either side of its pipe. Nothing is left behind, and the old generation's state is its own. */
import { describe, it } from 'vitest'
import { survives } from './support/fault'

const SOON = { READY_TIMEOUT_MS: 'soon' }
const LATE = 'generation 2 was not ready within \\d+ ms'
const FAILED = { code: 'HANDOVER_FAILED', phase: 'handing over', process: 'maybe' as const }

describe('handover()', () => {
  it.each(['throws', 'rejects'])('%s', (way) =>
    survives(
      'handover-fails.mjs',
      { ...FAILED, message: /^handover\(\) failed: the state is locked$/ },
      { env: { HANDOVER: way } },
    ),
  )

  it('gives what cannot be cloned', () =>
    survives(
      'handover-fails.mjs',
      {
        ...FAILED,
        message:
          /^handover\(\) failed: its value cannot be handed over: .* could not be cloned\. \(plain data can, functions/,
      },
      { env: { HANDOVER: 'cannot be cloned' } },
    ))

  it('never settles', () =>
    survives(
      'handover-fails.mjs',
      {
        code: 'READY_TIMEOUT',
        phase: 'handing over',
        message: new RegExp(`^${LATE}: handover\\(\\) of this generation has not settled$`),
      },
      { env: { HANDOVER: 'never', ...SOON } },
    ))
})

describe('a full pipe', () => {
  it('that is never read, by a program that is not this service', () =>
    survives(
      'starts-by-shell.mjs',
      {
        code: 'READY_TIMEOUT',
        phase: 'starting',
        message: new RegExp(`^${LATE}: it has not called shellflip\\(\\) yet$`),
      },
      { env: { FAULT: 'exec sleep 1000', MEGABYTES: '8', ...SOON } },
    ))

  it('that is read by half, and no more', () =>
    survives(
      'reads-half.mjs',
      {
        code: 'READY_TIMEOUT',
        phase: 'handing over',
        message: new RegExp(`^${LATE}: it does not read what it is handed over$`),
      },
      { env: { THEN: 'waits', ...SOON } },
    ))

  it('that is read by half when its reader dies', () =>
    survives(
      'reads-half.mjs',
      {
        code: 'GENERATION_EXITED',
        phase: 'handing over',
        exitCode: 4,
        message: /^generation 2 exited with code 4 while starting \(\d+ ms\): see what it printed$/,
      },
      { env: { THEN: 'dies' } },
    ))

  it('whose reader closes it, and lives', () =>
    survives(
      'starts-by-shell.mjs',
      {
        code: 'HANDOVER_FAILED',
        phase: 'handing over',
        message: /^handover\(\) failed: the new generation closed the handover pipe before it had read everything$/,
      },
      { env: { FAULT: 'exec 4<&-; exec sleep 1000', MEGABYTES: '8' } },
    ))
})
