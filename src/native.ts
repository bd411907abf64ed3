/**
 * The only import of the addon. Loading it reads what an old generation left in the environment, once, and takes it out
 * of `process.env`. Importing this never throws: whoever needs the addon asks `requireNative()`.
 */

import { addonDamage } from './addon-file'
import { ShellflipError } from './errors'
import { explainLoadFailure } from './load-error'
import type * as Binding from './native/binding.cjs'

export type {
  Engine,
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

/** Names an addon to load instead of the installed one: napi's variable, for tests and bundles. */
const OVERRIDE = 'NAPI_RS_NATIVE_LIBRARY_PATH'

/** Platforms a package is published for; elsewhere `shellflip()` is inert. */
const SUPPORTED: Record<string, string[]> = {
  linux: ['x64', 'arm64'],
  darwin: ['x64', 'arm64'],
}

/** False where no addon exists for this platform, so that none can be missing. */
export const platformSupported: boolean = SUPPORTED[process.platform]?.includes(process.arch) ?? false

let loaded: Native | null = null
let failure: unknown = null
try {
  loaded = platformSupported ? load() : null
} catch (error) {
  failure = error
}

function load(): Native {
  const damage = process.env[OVERRIDE] === undefined ? addonDamage() : null
  if (damage !== null) throw new Error(damage)
  const binding = require('./native/binding.cjs') as Native
  for (const name of binding.inheritance().wiped) delete process.env[name]
  return binding
}

/** The addon, or null where it cannot be loaded. */
export const native: Native | null = loaded

/** The addon. Throws UNSUPPORTED, saying what is missing and what to install. */
export function requireNative(): Native {
  if (native === null) throw loadError()
  return native
}

/** Closes a descriptor that a claim gave. */
export function closeDescriptor(fd: number): void {
  native?.closeDescriptor(fd)
}

/** Why the addon could not be loaded. */
export function loadError(): ShellflipError {
  const { platform, arch } = process
  if (!platformSupported) {
    const names = Object.entries(SUPPORTED).map(([name, archs]) => `${name} (${archs.join(', ')})`)
    return new ShellflipError(
      'ERR_SHELLFLIP_UNSUPPORTED',
      `@shellflip/node has no native addon for ${platform} ${arch}: restarts work on ${names.join(', ')}; ` +
        'elsewhere the service runs inert (listen, drain and shutdown work)',
    )
  }
  const libc = platform !== 'linux' ? null : isMusl() ? 'musl' : 'gnu'
  return explainLoadFailure(failure, { platform, arch, libc, override: process.env[OVERRIDE] })
}

/** Only asked once something failed: the report is slow. */
function isMusl(): boolean {
  const report = process.report as (NodeJS.ProcessReport & { excludeNetwork?: boolean }) | undefined
  if (report === undefined) return false
  report.excludeNetwork = true
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return header?.glibcVersionRuntime === undefined
}
