// AddressSanitizer and LeakSanitizer: use of freed or foreign memory, and memory that nobody can free any more.
import { CommandFailed } from '../run.mjs'
import { instrumented, missingRuntime, passed, TESTED } from './cargo.mjs'

export async function memory() {
  const cannot = await missingRuntime('asan')
  if (cannot) return { cannot }
  const args = ['test', ...TESTED, '--lib', '--bins', '--tests', '--no-fail-fast']
  const { code, output } = await instrumented('address', '-Zsanitizer=address', args, {
    capture: true,
    env: { ASAN_OPTIONS: 'detect_leaks=1' },
  })
  if (code !== 0) throw new CommandFailed('the Rust tests under AddressSanitizer: see above')
  return { ran: `${passed(output)} Rust tests of core, launcher and cli, leaks included` }
}
