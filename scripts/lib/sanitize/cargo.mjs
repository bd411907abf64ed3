// Cargo under a sanitizer. Instrumented builds have target folders of their own, and stable Rust's sanitizers, which it
// ships but calls unstable, want RUSTC_BOOTSTRAP. The launcher that core embeds stays uninstrumented: see its build.rs.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { hostTarget, targetDir } from '../platform.mjs'
import { must, run } from '../run.mjs'

/** Whatever has tests that `cargo test` runs; the addon has none, its logic is in core. */
export const TESTED = ['shellflip-core', 'shellflip-launcher', 'shellflip-cli'].flatMap((name) => ['--package', name])

/** The compiler that cargo uses. */
const rustc = process.env.RUSTC ?? 'rustc'

/** Where that compiler keeps its libraries. */
export async function sysroot() {
  return (await must(rustc, ['--print', 'sysroot'], { quiet: true })).trim()
}

/** Why that sanitizer cannot be built for here; undefined: it can. @param {'asan' | 'tsan'} runtime */
export async function missingRuntime(runtime) {
  const libraries = join(await sysroot(), 'lib/rustlib', await hostTarget(), 'lib')
  if (readdirSync(libraries).some((name) => name.endsWith(`_rt.${runtime}.a`))) return undefined
  return `this Rust toolchain has no ${runtime} runtime in ${libraries}`
}

/**
 * Runs cargo with that sanitizer.
 * @param {string} folder  of the instrumented build, below cargo's target folder
 * @param {string} flags  of rustc
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, capture?: boolean }} [options]
 * @returns {Promise<{ code: number, output: string, directory: string }>} directory: where programs and libraries lie
 */
export async function instrumented(folder, flags, [command = '', ...args], { env = {}, capture = false } = {}) {
  const target = await hostTarget()
  const directory = join(targetDir, 'sanitize', folder)
  const result = await run('cargo', [command, '--locked', '--target', target, ...args], {
    capture,
    env: { RUSTC_BOOTSTRAP: '1', RUSTFLAGS: flags, CARGO_TARGET_DIR: directory, ...env },
  })
  return { ...result, directory: join(directory, target, 'debug') }
}

/** How many tests a run of cargo has passed. @param {string} output */
export function passed(output) {
  return [...output.matchAll(/test result: \w+\. (\d+) passed/g)].reduce((sum, [, count]) => sum + Number(count), 0)
}
