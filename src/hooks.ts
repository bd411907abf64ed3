/** Shutdown hooks: newest first, one at a time, awaited. One that fails is logged; one that takes too long is named and left. */
import { invalidArgument, ShellflipError } from './errors'
import { describeThrown } from './logger'
import type { Logger } from './types'

export type ShutdownHook = () => void | Promise<void>

export class ShutdownHooks {
  readonly #logger: Logger
  readonly #hooks: { hook: ShutdownHook; name: string }[] = []
  #count = 0
  #over = false

  constructor(logger: Logger) {
    this.#logger = logger
  }

  add(hook: ShutdownHook): void {
    if (typeof hook !== 'function') throw invalidArgument(`onShutdown() takes a function, got ${typeof hook}`)
    if (this.#over) {
      throw new ShellflipError(
        'ERR_SHELLFLIP_DRAINING',
        'the shutdown hooks have run: register a hook before the drain ends',
      )
    }
    this.#count += 1
    this.#hooks.push({ hook, name: hook.name || `hook ${this.#count}` })
  }

  /** Runs them all, those added meanwhile too. Never rejects. @param remainingMs what is left for all of them together. */
  async run(remainingMs: () => number): Promise<void> {
    for (let next = this.#hooks.pop(); next !== undefined; next = this.#hooks.pop()) {
      if (!(await this.#runOne(next, remainingMs()))) {
        const left = this.#hooks.map(({ name }) => name).reverse()
        this.#logger.warn(
          `the time to shut down is over: the hook ${next.name} still runs and is left` +
            (left.length === 0 ? '' : `, ${left.join(', ')} did not run`),
        )
        break
      }
    }
    this.#over = true
  }

  /** False if it did not end in time. */
  async #runOne({ hook, name }: { hook: ShutdownHook; name: string }, ms: number): Promise<boolean> {
    const run = (async () => hook())().then(
      () => true,
      (error: unknown) => {
        this.#logger.error(`the shutdown hook ${name} failed: ${describeThrown(error)}`)
        return true
      },
    )
    if (ms === Infinity) return run
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, Math.max(ms, 0), false)
    })
    const ended = await Promise.race([run, late])
    clearTimeout(timer)
    return ended
  }
}
