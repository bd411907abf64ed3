/**
 * The closed set of errors. What this package refuses or what fails in a restart is a `ShellflipError` with a stable
 * `code`; what the operating system refuses keeps Node's own shape (`EADDRINUSE`, `syscall`, `address`, `port`).
 */
/** Every code a {@link ShellflipError} can have. Codes are stable; messages are for people and may change. */
export type ShellflipErrorCode =
  /** An argument or option is wrong: the message names it, what it got and what it wants. */
  | 'ERR_SHELLFLIP_INVALID_ARG'
  /** Not possible here (platform, supervisor, kind of process, release): the message says what to do instead. */
  | 'ERR_SHELLFLIP_UNSUPPORTED'
  /** What the old generation gave cannot be used. */
  | 'ERR_SHELLFLIP_INHERITANCE'
  /** A listener cannot be claimed or adopted. */
  | 'ERR_SHELLFLIP_LISTENER'
  /** A live process owns the coordination socket. */
  | 'ERR_SHELLFLIP_SOCKET_IN_USE'
  /** No service answers on that coordination socket. */
  | 'ERR_SHELLFLIP_NO_SERVICE'
  /** A restart was asked of a generation that does not serve yet. */
  | 'ERR_SHELLFLIP_NOT_READY'
  /** One restart at a time. */
  | 'ERR_SHELLFLIP_RESTART_IN_PROGRESS'
  /** The generation is draining: it starts nothing new. */
  | 'ERR_SHELLFLIP_DRAINING'
  /** The new generation could not be started. */
  | 'ERR_SHELLFLIP_SPAWN_FAILED'
  /** `handover()` or a lifecycle hook failed, or its pipe did. */
  | 'ERR_SHELLFLIP_HANDOVER_FAILED'
  /** The new generation ended before it served (see `exitCode` or `signal`), or gave up and was ended. */
  | 'ERR_SHELLFLIP_GENERATION_EXITED'
  /** The new generation was not ready within `readyTimeoutMs`. */
  | 'ERR_SHELLFLIP_READY_TIMEOUT'

/** What a {@link ShellflipError} may carry beside its code and message. */
export interface ShellflipErrorDetails {
  phase?: string
  pid?: number
  exitCode?: number
  signal?: string
  reason?: 'restart' | 'shutdown'
  cause?: unknown
}

/** An error of this package. Prefer matching on `code`. */
export class ShellflipError extends Error {
  readonly code: ShellflipErrorCode
  /** Where in the restart it failed. */
  declare readonly phase?: string
  /** Process id of the generation it is about. */
  declare readonly pid?: number
  /** The exit code with which that generation ended. */
  declare readonly exitCode?: number
  /** The name of the signal that ended it, such as `SIGKILL`. */
  declare readonly signal?: string
  /** Only of the reason of `service.signal`: why the service is draining. */
  declare readonly reason?: 'restart' | 'shutdown'

  constructor(code: ShellflipErrorCode, message: string, details: ShellflipErrorDetails = {}) {
    const { cause, ...fields } = details
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    for (const [key, value] of Object.entries(fields)) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true, configurable: true })
    }
  }
}

// On the prototype, as Node's own errors have it: it is part of the stack's first line, not a field of each error.
Object.defineProperty(ShellflipError.prototype, 'name', { value: 'ShellflipError', writable: true, configurable: true })

export function invalidArgument(message: string): ShellflipError {
  return new ShellflipError('ERR_SHELLFLIP_INVALID_ARG', message)
}

export function unsupported(message: string): ShellflipError {
  return new ShellflipError('ERR_SHELLFLIP_UNSUPPORTED', message)
}

/** The text of whatever was thrown: people throw strings, too. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message
  return typeof thrown === 'string' ? thrown : String(thrown)
}
