/**
 * The asking side of a service's coordination socket: native, so that a blocked event loop delays no answer. Giving up
 * cancels nothing: the service goes on with what it was asked.
 */
import { resolve } from 'node:path'
import { inspect } from 'node:util'
import { type Deferred, deferred } from './deferred'
import { fromNativeInFull, invalidArgument, restartError } from './errors'
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

// The way into the private constructor below.
let socketOf!: (client: RestartClient) => RestartCoordinationSocket

/**
 * A connection to the coordination socket of a running service, in this package's or in the Rust crate's words. It
 * carries one command. While something of it is awaited it keeps the process alive.
 */
export class RestartCoordinationSocket {
  static {
    socketOf = (client) => new this(client)
  }

  readonly #client: RestartClient
  readonly #hold = new LoopHold()
  #state: 'connected' | 'asked' | 'closed' = 'connected'
  #outcome: Deferred<number> | null = null

  private constructor(client: RestartClient) {
    this.#client = client
  }

  /**
   * Connects to the service whose coordination socket has that path.
   *
   * Rejects with INVALID_ARG for a path no socket can have, NO_SERVICE if nobody answers there, UNSUPPORTED without an
   * addon, and Node's own errors (`EACCES`) for the rest.
   */
  static async connect(path: string): Promise<RestartCoordinationSocket> {
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
    return socketOf(await new LoopHold().during(connected.promise))
  }

  /**
   * Asks for a restart, within 5 s of connecting; resolves with the pid of the new generation once that serves.
   *
   * Rejects with the service's own {@link ShellflipError} (RESTART_IN_PROGRESS, GENERATION_EXITED …); a Rust service
   * gives no code, and its text comes with SPAWN_FAILED. `ETIMEDOUT` and `ECONNRESET`, in Node's own shape: no answer in
   * time or none at all, and the outcome is unknown. INVALID_ARG on a second call and after {@link close}.
   */
  sendRestartCommand(options?: RequestOptions): Promise<number> {
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
    // That this names the socket keeps its client from being collected, which would hang up.
    this.#client.restart(timeoutMs, (reply) => this.#settle(reply))
    return this.#hold.during(outcome.promise)
  }

  /** Hangs up; a command that waits for its outcome rejects with `ECONNABORTED`. A second call does nothing. */
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

/** Connects, asks and hangs up. */
export async function requestRestart(path: string, options?: RequestOptions): Promise<number> {
  timeoutOf(options)
  const socket = await RestartCoordinationSocket.connect(path)
  try {
    return await socket.sendRestartCommand(options)
  } finally {
    socket.close()
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
