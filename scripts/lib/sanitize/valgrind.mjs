// Valgrind, which needs no instrumented build: memory, and descriptors that are still open at the end.
import { CommandFailed, must, run } from '../run.mjs'
import { passed } from './cargo.mjs'

const FOUND = 99

/** It runs them slower by 20 or more; random cases beyond a few find nothing more here. */
const PROPTEST_CASES = '4'

/** They open a pidfd themselves, which the valgrind of Debian 12 (3.19) does not know. */
const SKIPPED = [
  'nothing_is_held_of_a_generation_that_has_ended',
  'the_new_generation_outlives_the_old_one_and_the_launcher_does_not',
]

export async function valgrind() {
  const version = await run('valgrind', ['--version'], { quiet: true }).catch(() => undefined)
  if (version?.code !== 0) return { cannot: 'valgrind is not installed' }
  const built = ['test', '--locked', '--no-run', '--package', 'shellflip-core', '--lib', '--message-format=json']
  const messages = await must('cargo', built, { quiet: true })
  const program = /"executable":"([^"]+)"/.exec(messages)?.[1]
  if (!program) throw new CommandFailed('cargo built no test program')
  const checks = ['--track-fds=yes', '--leak-check=full', '--errors-for-leak-kinds=definite']
  const skipped = SKIPPED.flatMap((name) => ['--skip', name])
  const { code, output } = await run(
    'valgrind',
    ['--quiet', `--error-exitcode=${FOUND}`, ...checks, program, ...skipped],
    { capture: true, env: { PROPTEST_CASES } },
  )
  if (code !== 0) throw new CommandFailed('the tests of core under valgrind: see above')
  const left = openDescriptors(output)
  if (left.length > 0) throw new CommandFailed(`descriptors are open at the end:\n${left.join('\n\n')}}`)
  return { ran: `${passed(output)} Rust tests of core with ${version.output.trim()}, memory and descriptors` }
}

/** What the tests left open: not what valgrind was started with, nor the pair that tokio keeps for signals. @param {string} output */
function openDescriptors(output) {
  const [, listing = ''] = /FILE DESCRIPTORS: (.*)/s.exec(output.replaceAll(/^==\d+== ?/gm, '')) ?? []
  return listing
    .split('\n\n')
    .map((paragraph) => paragraph.slice(paragraph.indexOf('Open ')))
    .filter((paragraph) => paragraph.startsWith('Open ') && !/<inherited from parent>|tokio::signal/.test(paragraph))
}
