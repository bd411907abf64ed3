// ThreadSanitizer: two threads at the same memory, one of them writing, and nothing between them. It must see what the
// standard library synchronises, else it takes every Arc and every Mutex for a race: std is built with it.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CommandFailed } from '../run.mjs'
import { instrumented, missingRuntime, passed, sysroot, TESTED } from './cargo.mjs'

export async function threads() {
  if (!existsSync(join(await sysroot(), 'lib/rustlib/src/rust/library/Cargo.toml'))) {
    const how = 'install it (rustup component add rust-src), or name by RUSTC a toolchain that has it'
    return { cannot: `the source of the standard library (rust-src) is missing: ${how}` }
  }
  const cannot = await missingRuntime('tsan')
  if (cannot) return { cannot }
  const args = ['test', '-Zbuild-std', ...TESTED, '--lib', '--bins', '--tests', '--no-fail-fast']
  const { code, output } = await instrumented('thread', '-Zsanitizer=thread', args, { capture: true })
  if (code !== 0) throw new CommandFailed('the Rust tests under ThreadSanitizer: see above')
  return { ran: `${passed(output)} Rust tests of core, launcher and cli` }
}
