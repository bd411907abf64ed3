/** The asking side of a service's coordination socket, for programs; what it does is in `asking`, loaded when it is wanted. */
import type { Asking, RequestOptions } from './asking'

// The way into the private constructor below.
let socketOf!: (asking: Asking) => RestartCoordinationSocket

/**
 * A connection to the coordination socket of a running service, in this package's or in the Rust crate's words. It
 * carries one command. While something of it is awaited it keeps the process alive.
 */
export class RestartCoordinationSocket {
  static {
    socketOf = (asking) => new this(asking)
  }

  readonly #asking: Asking

  private constructor(asking: Asking) {
    this.#asking = asking
  }

  /**
   * Connects to the service whose coordination socket has that path.
   *
   * Rejects with INVALID_ARG for a path no socket can have, NO_SERVICE if nobody answers there, UNSUPPORTED without an
   * addon, and Node's own errors (`EACCES`) for the rest.
   */
  static async connect(path: string): Promise<RestartCoordinationSocket> {
    return socketOf(await (require('./asking') as typeof import('./asking')).connect(path))
  }

  /**
   * Asks for a restart, within 5 s of connecting; resolves with the pid of the new generation once that serves.
   *
   * Rejects with the service's own {@link ShellflipError} (RESTART_IN_PROGRESS, GENERATION_EXITED …); a Rust service
   * gives no code, and its text comes with SPAWN_FAILED. `ETIMEDOUT` and `ECONNRESET`, in Node's own shape: no answer in
   * time or none at all, and the outcome is unknown. INVALID_ARG on a second call and after {@link close}.
   */
  sendRestartCommand(options?: RequestOptions): Promise<number> {
    return this.#asking.restart(options)
  }

  /** Hangs up; a command that waits for its outcome rejects with `ECONNABORTED`. A second call does nothing. */
  close(): void {
    this.#asking.close()
  }
}
