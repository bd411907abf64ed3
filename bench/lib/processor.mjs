// What a process has used of its processors: the kernel knows it to the nanosecond, and other work does not count in it.
import { readdirSync, readFileSync } from 'node:fs'

/** @param {number} pid @returns {number} milliseconds, of all its threads that live; NaN where there is no /proc */
export function processorMs(pid) {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    const nanoseconds = threads.map(
      (thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0],
    )
    return nanoseconds.reduce((sum, each) => sum + Number(each), 0) / 1e6
  } catch {
    return Number.NaN
  }
}
