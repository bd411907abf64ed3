/** What went wrong when the addon was loaded, and what to do about it: the system's loader tells neither. */
import { ShellflipError } from './errors'
import { platformSupported, SUPPORTED } from './native'

/** Where the addon was to be loaded. */
interface LoadWorld {
  platform: string
  arch: string
  /** Of Linux. */
  libc: 'gnu' | 'musl' | null
  /** `$NAPI_RS_NATIVE_LIBRARY_PATH`, which names an addon to load instead. */
  override: string | undefined
}

/** The error where there is no addon: none was made for this platform, or `failure` came of loading it. */
export function explain(failure: unknown): ShellflipError {
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
  return explainLoadFailure(failure, { platform, arch, libc, override: process.env.NAPI_RS_NATIVE_LIBRARY_PATH })
}

/** Only asked once something failed: the report is slow. */
function isMusl(): boolean {
  const report = process.report as (NodeJS.ProcessReport & { excludeNetwork?: boolean }) | undefined
  if (report === undefined) return false
  report.excludeNetwork = true
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return header?.glibcVersionRuntime === undefined
}

/** The name of the platform package that belongs here. */
function platformPackage({ platform, arch, libc }: Pick<LoadWorld, 'platform' | 'arch' | 'libc'>): string {
  return `@shellflip/node-${[platform, arch, libc].filter((part) => part !== null).join('-')}`
}

/** The error for `failure`, which the loading of the addon threw. */
function explainLoadFailure(failure: unknown, world: LoadWorld): ShellflipError {
  const { platform, arch, libc } = world
  const place = `${platform} ${arch}${libc === null ? '' : ` (${libc === 'gnu' ? 'glibc' : 'musl'})`}`
  // Everything that was tried is in the chain; what is there and cannot be loaded says more than what is not there.
  const tried = messages(failure)
  const telling = tried.find((message) => !isAbsence(message))
  const { reason, advice } = telling === undefined ? absent(world) : refused(telling, world)
  return new ShellflipError(
    'ERR_SHELLFLIP_UNSUPPORTED',
    `the native addon of @shellflip/node for ${place} could not be loaded: ${reason}. ${advice}`,
    { cause: failure },
  )
}

interface Explanation {
  reason: string
  advice: string
}

function absent(world: LoadWorld): Explanation {
  if (world.override !== undefined) {
    return {
      reason: `$NAPI_RS_NATIVE_LIBRARY_PATH names ${world.override}, which is not there`,
      advice: 'Unset that variable, and the addon that was installed is used',
    }
  }
  const name = platformPackage(world)
  return {
    reason: `${name} is not installed`,
    advice:
      `Install it with: npm install ${name} (it is an optional dependency: check that --omit=optional or --no-optional ` +
      'is not set, and that node_modules was installed on this platform; a bundler must leave @shellflip/node external)',
  }
}

/** What Node, Deno and the loaders of glibc, musl and macOS say, and our own look at the file. */
const REFUSALS: [RegExp, (world: LoadWorld) => string][] = [
  [
    /loading addons is disabled/,
    () => 'Start Node without --no-addons, and with --allow-addons if it has --permission (--experimental-permission)',
  ],
  [/Requires ffi access/, () => 'Start Deno with -A, or with the permissions that docs/runtimes.md names'],
  [
    /failed to map segment|Operation not permitted|Permission denied/,
    () =>
      'Its file system does not let code run (noexec) or the file cannot be read: install node_modules on one mounted ' +
      'with exec, and readable',
  ],
  [/GLIBC_\d/, () => "This system's glibc is older than 2.17, which it needs: run the service on a newer system"],
  [
    /libc\.musl|ld-musl|libc\.so:|libc\.so\.6|ld-linux|symbol not found|undefined symbol/,
    (world) =>
      `It was made for another C library: remove node_modules and install it on this system, or: npm install ${platformPackage(world)}`,
  ],
]

function refused(message: string, world: LoadWorld): Explanation {
  const [, advice] = REFUSALS.find(([pattern]) => pattern.test(message)) ?? []
  return {
    reason: message.replace(/\.$/, ''),
    advice:
      advice?.(world) ??
      'The file is damaged or made for another platform: remove node_modules and install again, on this platform',
  }
}

/** Also Yarn's words for it. */
function isAbsence(message: string): boolean {
  return /^Cannot find (module|native binding|package)|isn't declared in|^Failed to load native binding/.test(message)
}

/** The first lines of an error's message and of all its causes'. */
function messages(failure: unknown): string[] {
  const found: string[] = []
  for (let each = failure; each instanceof Error; each = each.cause) found.push(each.message.split('\n', 1)[0] ?? '')
  return found
}
