/** The lines a service prints, all generations together, and waiting for them. */
import type { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'

interface Waiter {
  take(line: string): boolean
}

/**
 * Collects lines. Each line is given to one waiter at most, so that waiting twice for 'ready' means two lines. Whoever
 * waited goes on when everything is read that was printed before the line, on the other streams as well.
 */
export class Output {
  /** Every line so far, of stdout and stderr, as they came. */
  readonly lines: string[] = []
  #untaken: string[] = []
  #waiters = new Set<Waiter>()

  /** Reads a stream to its end, line by line. */
  follow(stream: Readable): void {
    let rest = ''
    stream.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      for (const line of parts) this.add(line)
    })
    stream.on('end', () => {
      if (rest !== '') this.add(rest)
    })
  }

  /** Resolves with the first line that matches and that nobody took; rejects after `deadlineMs`, showing the output. */
  line(pattern: RegExp, deadlineMs = 10_000): Promise<RegExpExecArray> {
    return this.take((line) => pattern.exec(line) ?? undefined, String(pattern), deadlineMs)
  }

  /** As line(), with what `match` makes of a line. */
  async take<T>(match: (line: string) => T | undefined, what: string, deadlineMs = 10_000): Promise<T> {
    const found = await this.#next(match, what, deadlineMs)
    // The event loop may have read standard output first, of what it finds in one turn.
    await turn()
    return found
  }

  #next<T>(match: (line: string) => T | undefined, what: string, deadlineMs: number): Promise<T> {
    for (const [index, line] of this.#untaken.entries()) {
      const found = match(line)
      if (found === undefined) continue
      this.#untaken.splice(index, 1)
      return Promise.resolve(found)
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        take: (line) => {
          const found = match(line)
          if (found === undefined) return false
          clearTimeout(deadline)
          this.#waiters.delete(waiter)
          resolve(found)
          return true
        },
      }
      const deadline = setTimeout(() => {
        this.#waiters.delete(waiter)
        reject(new Error(`no line ${what} within ${deadlineMs} ms; the output was:\n${this.text()}`))
      }, deadlineMs)
      this.#waiters.add(waiter)
    })
  }

  text(): string {
    return this.lines.join('\n')
  }

  /** Takes one line, of a stream that is not made of lines. */
  add(line: string): void {
    this.lines.push(line)
    for (const waiter of this.#waiters) if (waiter.take(line)) return
    this.#untaken.push(line)
  }
}
