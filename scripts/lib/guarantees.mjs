// docs/guarantees.md says which test keeps which promise: each one that it names must have run and passed.
import { readFileSync } from 'node:fs'
import { root } from './run.mjs'

/**
 * The tests that docs/guarantees.md names: in the last cell of each row, a file and how the test's name begins.
 * @returns {{ file: string, name: string }[]}
 */
function promised() {
  const text = readFileSync(`${root}/docs/guarantees.md`, 'utf8')
  const cells = [...text.matchAll(/^\| .* \| (`.*) \|$/gm)].map(([, cell]) => String(cell))
  return cells.flatMap((cell) =>
    cell.split(/; (?=`)/).map((entry) => {
      const [, file = '', name = ''] = /^`([\w-]+)`\s*(.*)$/.exec(entry) ?? []
      return { file, name }
    }),
  )
}

/**
 * What docs/guarantees.md names and what did not pass, one a line.
 * @param {string} cargo  what `cargo test` printed
 * @param {{ testResults: { name: string, assertionResults: { ancestorTitles: string[], title: string, status: string }[] }[] }} vitest
 * @returns {string[]}
 */
export function brokenPromises(cargo, vitest) {
  const rust = new Set(
    [...cargo.matchAll(/^test (?:\S+::)?(\w+) (?:- should panic )?\.\.\. ok$/gm)].map(([, name]) => name),
  )
  // What needs root is skipped without it, and says so itself.
  const kept = new Set(['passed', 'pending', 'skipped'])
  const passed = vitest.testResults.flatMap(({ name: path, assertionResults }) =>
    assertionResults
      .filter(({ status }) => kept.has(status))
      .map(({ ancestorTitles, title }) => ({
        file: path.replace(/^.*\/|\.test\.ts$/g, ''),
        name: [...ancestorTitles, title].join(' › '),
      })),
  )
  const entries = promised()
  if (entries.length === 0) return ['docs/guarantees.md names no test']
  return entries
    .filter(({ file, name }) =>
      file === 'core' || file === 'cli'
        ? !rust.has(name)
        : !passed.some((test) => test.file === file && test.name.startsWith(name)),
    )
    .map(({ file, name }) => `${file} ${name}`)
}
