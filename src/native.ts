/**
 * The only import of the addon. Loading it reads what an old generation left in the environment, once, and takes it out
 * of `process.env`: at the import where there is something to read, so that no other program inherits it; otherwise when
 * it is wanted, since it is most of what an import costs. Importing this never throws: whoever needs the addon asks
 * `requireNative()`.
 */

import { addonDamage, addonPaths } from './addon-file'
import type { ShellflipError } from './errors'
import type * as Binding from './native/binding.cjs'

export type {
  Engine,
  HandoverReader,
  NativeAddress,
  NativeClaim,
  NativeEngineOptions,
  NativeEvent,
  NativeFailure,
  NativeInheritance,
  NativeLaunch,
  NativeListener,
  NativeListenRequest,
  NativeReply,
  RestartClient,
} from './native/binding.cjs'

/** The addon's exports. */
export type Native = typeof Binding

/** Platforms a package is published for; elsewhere `shellflip()` is inert. */
export const SUPPORTED: Readonly<Record<string, readonly string[]>> = {
  linux: ['x64', 'arm64'],
  darwin: ['x64', 'arm64'],
}

/** False where no addon exists for this platform, so that none can be missing. */
export const platformSupported: boolean = SUPPORTED[process.platform]?.includes(process.arch) ?? false

/** What a generation may find in its environment, written by the old one or a launcher: core/src/environment.rs reads it. */
export const INHERITED = [
  'OXY_NOTIFY_SOCKET',
  'OXY_RESTART_SOCKET',
  'OXY_HANDOVER_PIPE',
  'SHELLFLIP_CHANNEL',
  'SHELLFLIP_GENERATION',
  'LISTEN_PID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
] as const

/** False if neither an old generation nor a service manager left anything for this process. */
export const inherits: boolean = INHERITED.some((name) => process.env[name] !== undefined)

let loaded: Native | null | undefined
let failure: unknown = null
if (inherits) native()

/** The addon, or null where it cannot be loaded. */
export function native(): Native | null {
  if (loaded === undefined) {
    try {
      loaded = platformSupported ? load() : null
    } catch (error) {
      failure = error
      loaded = null
    }
  }
  return loaded
}

function load(): Native {
  const binding = bindingOf()
  // What the application has set since the import is its own.
  const since = inherits ? [] : INHERITED.map((name) => [name, process.env[name]] as const)
  for (const [name] of since) delete process.env[name]
  for (const name of binding.inheritance().wiped) delete process.env[name]
  for (const [name, value] of since) if (value !== undefined) process.env[name] = value
  return binding
}

function bindingOf(): Native {
  // napi's variables: an addon to load instead of the installed one, for tests and bundles, and a check of its version.
  const { NAPI_RS_NATIVE_LIBRARY_PATH: override, NAPI_RS_ENFORCE_VERSION_CHECK: check } = process.env
  const found = override === undefined ? addonPaths() : []
  const damage = addonDamage(found)
  if (damage !== null) throw new Error(damage)
  const [only, another] = found
  // A program that Bun has compiled carries its addon inside, while `__dirname` is where it was built.
  const bun = process.versions.bun !== undefined
  if (only !== undefined && another === undefined && check === undefined && !bun) {
    try {
      // As `require()` does it, without Node's loader of CommonJS, which a program of ES modules may not have used yet.
      const module = { exports: {} }
      process.dlopen(module, only)
      return module.exports as Native
    } catch {
      // Below it fails again, among all else that could have been.
    }
  }
  // It knows which of two C libraries this is, and takes longer than the addon itself.
  return require('./native/binding.cjs') as Native
}

/** The addon. Throws UNSUPPORTED, saying what is missing and what to install. */
export function requireNative(): Native {
  const addon = native()
  if (addon === null) throw loadError()
  return addon
}

/** Closes a descriptor that a claim gave. */
export function closeDescriptor(fd: number): void {
  native()?.closeDescriptor(fd)
}

/** Why the addon could not be loaded. */
export function loadError(): ShellflipError {
  return (require('./load-error') as typeof import('./load-error')).explain(failure)
}
