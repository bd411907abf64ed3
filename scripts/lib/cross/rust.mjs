// A Rust compiler for each target: this machine's if it has the target's standard library, else Debian's.
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../run.mjs'
import { dependencies, unpacked } from './debian.mjs'

/**
 * What lets cargo compile for a target.
 *
 * @param {string} target a Rust target
 * @returns {Promise<{ env: Record<string, string>, args: string[] }>} added to cargo's environment and arguments
 */
export async function rustFor(target) {
  const sysroot = await must('rustc', ['--print', 'sysroot'], { quiet: true })
  if (existsSync(join(sysroot.trim(), 'lib/rustlib', target, 'lib'))) return { env: {}, args: [] }
  const folder = await unpacked('rust', packages)
  const env = { RUSTC: wrapper(folder) }
  if (existsSync(join(folder, 'usr/lib/rustlib', target, 'lib'))) return { env, args: [] }
  // No package has that one: it is compiled from its source, which only cargo's unstable options do.
  return { env: { ...env, RUSTC_BOOTSTRAP: '1' }, args: ['-Zbuild-std=std,panic_abort,panic_unwind'] }
}

/** The newest that Debian has: some of the names have versions in them. */
async function packages() {
  const names = ['rustc-web', 'libstd-rust-web-dev:amd64', 'libstd-rust-web-dev:arm64', 'rust-web-src']
  const library = (await dependencies('libstd-rust-web-dev')).find((name) => name.startsWith('libstd-rust-web-'))
  const llvm = (await dependencies(library)).find((name) => name.startsWith('libllvm'))
  return [...names, library, llvm]
}

/** The compiler looks for its libraries where the package would have put them. */
function wrapper(folder) {
  const path = join(folder, 'rustc')
  const libraries = join(folder, 'usr/lib/x86_64-linux-gnu')
  if (!existsSync(path)) {
    writeFileSync(path, `#!/bin/sh\nLD_LIBRARY_PATH='${libraries}' exec '${join(folder, 'usr/bin/rustc')}' "$@"\n`)
    chmodSync(path, 0o755)
  }
  return path
}
