import { writeSync } from 'node:fs'

/** Prints one event as a line of JSON, at once: nothing is lost if the program crashes next. Tests wait by event(name). */
export function say(event, details = {}) {
  const line = `${JSON.stringify({ event, pid: process.pid, ...details })}\n`
  for (;;) {
    try {
      writeSync(1, line)
      return
    } catch (error) {
      // Standard output is non-blocking where Node has touched it.
      if (error.code !== 'EAGAIN') throw error
    }
  }
}
