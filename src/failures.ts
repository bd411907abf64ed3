/** The errors that stand for what the operating system refused, and for what the native side reports. */
import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'
import { ShellflipError, type ShellflipErrorCode } from './errors'
import type { NativeFailure } from './native'

/** Where a system call was aimed at, for the text and the fields that Node gives such errors. */
export interface SystemErrorTarget {
  address?: string
  port?: number
}

/** An error in the shape Node itself gives: `listen EADDRINUSE: address already in use 127.0.0.1:8080`. */
export function systemError(errno: number, syscall: string, target: SystemErrorTarget = {}): NodeJS.ErrnoException {
  const [code, description] = getSystemErrorMap().get(-Math.abs(errno)) ?? [`E${errno}`, 'unknown error']
  const { address, port } = target
  const at = address === undefined ? '' : port !== undefined && port > 0 ? ` ${address}:${port}` : ` ${address}`
  // Node's dgram, alone among them, leaves the description out.
  const error = new Error(`${syscall} ${code}${syscall === 'bind' ? '' : `: ${description}`}${at}`)
  return Object.assign(error, { errno: -Math.abs(errno), code, syscall }, target)
}

/** The error that stands for a failure reported by the native side. */
export function fromNative(failure: NativeFailure, target?: SystemErrorTarget): Error {
  if (failure.code === undefined) {
    if (failure.errno !== undefined) return systemError(failure.errno, failure.syscall ?? 'unknown', target)
    return new Error(failure.message)
  }
  return new ShellflipError(failure.code as ShellflipErrorCode, failure.message, {
    phase: failure.phase,
    pid: failure.pid,
    exitCode: failure.exitCode,
    signal: failure.signal === undefined ? undefined : signalName(failure.signal),
  })
}

/** The same where the call alone says too little: what it was for, and what to do, stand behind it. */
export function fromNativeInFull(failure: NativeFailure): Error {
  const error = fromNative(failure)
  if (failure.code === undefined && failure.errno !== undefined) error.message += `; ${failure.message}`
  return error
}

/** The same for failures of a restart, whose code is always ours. */
export function restartError(failure: NativeFailure): ShellflipError {
  const error = fromNative(failure)
  if (error instanceof ShellflipError) return error
  return new ShellflipError('ERR_SHELLFLIP_SPAWN_FAILED', failure.message, { phase: failure.phase, cause: error })
}

/** `SIGKILL` for 9; the number itself where the platform has no name for it (real-time signals). */
export function signalName(number: number): string {
  const found = Object.entries(constants.signals).find(([, value]) => value === number)
  return found === undefined ? `SIG${number}` : found[0]
}
