/**
 * The asking side of a service's coordination socket: native, so that a blocked event loop delays no answer. Giving up
 * cancels nothing: the service goes on with what it was asked.
 */
import { resolve } from 'node:path'
import { inspect } from 'node:util'
import { type Deferred, deferred } from './deferred'
import { invalidArgument } from './errors'
import { fromNativeInFull, restartError } from './failures'
import { LoopHold } from './hold'
import { type NativeFailure, type NativeReply, type RestartClient, requireNative } from './native'

/** How long whoever asks for a restart waits. */
export interface RequestOptions {
  /** Milliseconds to wait for the outcome. Default 300 000; 0: no limit. */
  timeoutMs?: number
}

const DEFAULT_TIMEOUT_MS = 300_000
/** What every other deadline of this package is limited to, about 24.8 days. */
const LONGEST_MS = 2 ** 31 - 1

/**
 * A connection that carries one command. Invariant: while its outcome is awaited, something reachable names the client,
 * since a collected client hangs up.
 */
export class Asking {
  readonly #client: RestartClient
  readonly #hold = new LoopHold()
  #state: 'connected' | 'asked' | 'closed' = 'connected'
  #outcome: Deferred<number> | null = null

  constructor(client: RestartClient) {
    this.#client = client
  }

  /** Resolves with the pid of the new generation. Rejects as `sendRestartCommand()` says. */
  restart(options?: RequestOptions): Promise<number> {
    let timeoutMs: number
    try {
      timeoutMs = timeoutOf(options)
      if (this.#state !== 'connected') {
        throw invalidArgument(
          this.#state === 'closed'
            ? 'this RestartCoordinationSocket was closed: connect() again'
            : 'a RestartCoordinationSocket carries one restart command, and this one has: connect() again',
        )
      }
    } catch (error) {
      return Promise.reject(error)
    }
    this.#state = 'asked'
    const outcome = deferred<number>()
    this.#outcome = outcome
    // That this names the connection keeps its client from being collected, which would hang up.
    this.#client.restart(timeoutMs, (reply) => this.#settle(reply))
    return this.#hold.during(outcome.promise)
  }

  /** Hangs up, and rejects the outcome that is waited for. */
  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#client.close()
    const message = 'this RestartCoordinationSocket was closed before the outcome came; the restart is not cancelled'
    this.#outcome?.reject(Object.assign(new Error(message), { code: 'ECONNABORTED' }))
  }

  #settle({ pid, failure }: NativeReply): void {
    if (failure === undefined) this.#outcome?.resolve(pid ?? 0)
    else this.#outcome?.reject(requestError(failure))
  }
}

/** Connects to the service whose coordination socket has that path. Rejects as `RestartCoordinationSocket.connect()` says. */
export async function connect(path: string): Promise<Asking> {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw invalidArgument(`connect() takes the path of a coordination socket, got ${inspect(path, { depth: 0 })}`)
  }
  const { RestartClient } = requireNative()
  const connected = deferred<RestartClient>()
  const client: RestartClient = new RestartClient(resolve(path), ({ failure }) => {
    // That this names the client keeps it from being collected, which would hang up.
    if (failure === undefined) connected.resolve(client)
    else connected.reject(requestError(failure))
  })
  return new Asking(await new LoopHold().during(connected.promise))
}

/** Connects, asks and hangs up. */
export async function requestRestart(path: string, options?: RequestOptions): Promise<number> {
  timeoutOf(options)
  const asking = await connect(path)
  try {
    return await asking.restart(options)
  } finally {
    asking.close()
  }
}

/** The same, blocking this thread. */
export function requestRestartSync(path: string, options?: RequestOptions): number {
  const { pid, failure } = requireNative().restartBlocking(resolve(path), timeoutOf(options))
  if (failure !== undefined) throw requestError(failure)
  return pid ?? 0
}

function timeoutOf(options: RequestOptions | undefined): number {
  const timeoutMs = options?.timeoutMs ?? DEFAULT_TIMEOUT_MS
  if (!Number.isInteger(timeoutMs) || timeoutMs < 0 || timeoutMs > LONGEST_MS) {
    throw invalidArgument(
      `timeoutMs must be an integer from 0 (no limit) to ${LONGEST_MS} (milliseconds), got ${inspect(timeoutMs, { depth: 0 })}`,
    )
  }
  return timeoutMs
}

/** What the system refused keeps its own code; what the service answered is ours, also where a Rust service gave none. */
function requestError(failure: NativeFailure): Error {
  if (failure.code === undefined && failure.errno !== undefined) return fromNativeInFull(failure)
  return restartError(failure)
}
