/** Whom systemd's watchdog wants to hear of, and how often. */
import { expect, it } from 'vitest'
import { watchdogInterval } from '../src/manager'

it.each([
  ['half of what is allowed', { WATCHDOG_USEC: '30000000' }, 15_000],
  ['of this process', { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 15_000],
  ['of another process', { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, null],
  ['none', {}, null],
  ['switched off', { WATCHDOG_USEC: '0' }, null],
  ['no number', { WATCHDOG_USEC: '-1' }, null],
  ['less than a timer can', { WATCHDOG_USEC: '1' }, 1],
  ['more than a timer can', { WATCHDOG_USEC: '18446744073709551614' }, 2 ** 31 - 1],
])('%s', (_, env, interval) => {
  expect(watchdogInterval(env, 7)).toBe(interval)
})
