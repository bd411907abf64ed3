// npm test: all that CI runs, in one go and on a fresh clone too. Every step runs even if an earlier one failed, except
// those that need the build. Ends in the plain line `N passed, N failed`; the exit code is 1 unless all passed.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { build } from './build.mjs'
import { checks } from './check.mjs'
import { installDependencies } from './lib/dependencies.mjs'
import { brokenPromises } from './lib/guarantees.mjs'
import { entries, local, run } from './lib/run.mjs'
import { writeNpmDirs } from './npm-dirs.mjs'

const total = { passed: 0, failed: 0, skipped: 0 }
const failures = []
/** What the two test runners said. */
const said = { cargo: '', vitest: undefined }

/** Runs one step, adds what it counted (nothing: one check) and resolves with whether it passed. */
async function step(name, body) {
  console.log(`\n--- ${name}`)
  const begun = performance.now()
  let counted
  try {
    counted = await body()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    counted = { passed: 0, failed: 1 }
  }
  for (const key of Object.keys(total)) total[key] += counted[key] ?? 0
  if (counted.failed > 0) failures.push(name)
  console.log(
    `--- ${name}: ${counted.failed > 0 ? 'FAILED' : 'ok'} (${((performance.now() - begun) / 1000).toFixed(1)} s)`,
  )
  return counted.failed === 0
}

const nothing = { passed: 0, failed: 0 }

const one = async (code) => ((await code) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 })

// A run that failed without a failed test (it crashed, or did not compile) counts as one failure.
const counts = (code, { passed, failed, skipped }) => ({
  passed,
  skipped,
  failed: code !== 0 && failed === 0 ? 1 : failed,
})

async function cargoTest() {
  const { code, output } = await run('cargo', ['test', '--locked', '--workspace', '--no-fail-fast'], { capture: true })
  said.cargo = output
  const sum = { passed: 0, failed: 0, skipped: 0 }
  for (const [, passed, failed, ignored] of output.matchAll(
    /test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/g,
  )) {
    sum.passed += Number(passed)
    sum.failed += Number(failed)
    sum.skipped += Number(ignored)
  }
  return counts(code, sum)
}

async function vitest() {
  const folder = mkdtempSync(join(tmpdir(), 'shellflip-vitest-'))
  try {
    const report = join(folder, 'report.json')
    const { code } = await local(entries.vitest, [
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ])
    said.vitest = JSON.parse(readFileSync(report, 'utf8'))
    sayWhatWasSkipped(said.vitest)
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = said.vitest
    return counts(code, { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function sayWhatWasSkipped({ testResults }) {
  for (const { name, assertionResults } of testResults) {
    for (const { status, fullName } of assertionResults) {
      if (status === 'skipped' || status === 'pending') console.log(`skipped: ${basename(name)}: ${fullName}`)
    }
  }
  if (process.getuid?.() !== 0) console.log('This is not root: tests that need it were skipped.')
}

function guarantees() {
  if (said.vitest === undefined) throw new Error('not run: the tests did not run')
  const broken = brokenPromises(said.cargo, said.vitest)
  for (const one of broken) console.error(`docs/guarantees.md names a test that did not pass: ${one}`)
  return { passed: broken.length > 0 ? 0 : 1, failed: broken.length > 0 ? 1 : 0 }
}

async function generatedFilesCurrent() {
  await writeNpmDirs()
  const paths = ['src/native/binding.d.cts', 'npm']
  const { code } = await run('git', ['--no-pager', 'diff', '--exit-code', '--', ...paths])
  const { output } = await run('git', ['ls-files', '--others', '--exclude-standard', '--', ...paths], { quiet: true })
  if (code === 0 && output === '') return { passed: 1, failed: 0 }
  console.error(`${output}Generated files are not what is in git: look at the difference, then \`git add\` them.`)
  return { passed: 0, failed: 1 }
}

async function main() {
  if (await step('dependencies', () => installDependencies().then(() => nothing))) {
    await step('format', () => one(checks.format()))
    await step('lint', () => one(checks.lint()))
    await step('clippy', () => one(checks.clippy()))
    await step('cargo test', cargoTest)
    const built = await step('build', () => build().then(() => ({ passed: 1, failed: 0 })))
    await step('types', () => one(checks.types()))
    await step('vitest', built ? vitest : () => Promise.reject(new Error('not run: the build failed')))
    await step('guarantees', guarantees)
    await step(
      'generated files',
      built ? generatedFilesCurrent : () => Promise.reject(new Error('not run: the build failed')),
    )
  }
  if (failures.length > 0) console.log(`\nfailed: ${failures.join(', ')}`)
  console.log(
    `\n${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`,
  )
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
}

await main()
