/** Promise 3: the new generation lives, and is never ready. It is ended, and nothing is left behind. */
import { describe, it } from 'vitest'
import { survives } from './support/fault'

const SOON = { env: { READY_TIMEOUT_MS: 'soon' } }
const LATE = { code: 'READY_TIMEOUT', phase: 'waiting for ready' }
const TOLD = 'generation 2 was not ready within \\d+ ms'

describe('at its deadline', () => {
  it('it does not call ready()', () =>
    survives('never-ready.mjs', { ...LATE, message: new RegExp(`^${TOLD}: it has not called ready\\(\\)$`) }, SOON))

  it('its event loop is blocked', () =>
    survives('blocked-before-ready.mjs', { ...LATE, message: new RegExp(`^${TOLD}: it has not called`) }, SOON))

  it('it leaves a listener unclaimed, which is named', () =>
    survives(
      'drops-a-listener.mjs',
      { ...LATE, message: new RegExp(`^${TOLD}: it has not called ready\\(\\), nor listened on 'admin'$`) },
      SOON,
    ))

  it("its 'exit' handler never returns, and the error before it is told", () =>
    survives(
      'hangs-in-exit.mjs',
      { ...LATE, message: new RegExp(`^${TOLD}: .*; its last error: Error: the database is gone$`) },
      SOON,
    ))

  it('it is not even this service', () =>
    survives(
      'starts-by-shell.mjs',
      { ...LATE, phase: 'starting', message: new RegExp(`^${TOLD}: it has not called shellflip\\(\\) yet$`) },
      { env: { ...SOON.env, FAULT: 'exec sleep 1000' } },
    ))
})

describe('without a deadline', () => {
  const CLOSED = /^generation 2 closed the pipe by which it would say that it is ready \(\d+ ms\): does it/

  it('it closes every pipe and socket that it has, and sleeps', () =>
    survives('closes-what-it-was-given.mjs', {
      code: 'GENERATION_EXITED',
      phase: 'waiting for ready',
      message: CLOSED,
    }))

  it('it is another program, which has closed everything', () =>
    survives(
      'starts-by-shell.mjs',
      { code: 'GENERATION_EXITED', phase: 'starting', message: CLOSED },
      { env: { FAULT: 'exec 0<&- 1>&- 2>&- 3>&- 4<&- 5>&- 6>&-; exec sleep 1000' } },
    ))

  it('shellflip() rejects there, and nobody ends the process', () =>
    survives('gives-up.mjs', {
      code: 'GENERATION_EXITED',
      // Its hello may come before it fails, or not at all.
      phase: /^(starting|handing over|waiting for ready)$/,
      message: /^generation 2 gave up while starting: .*ENOENT.*\/proc\/none/,
    }))
})
