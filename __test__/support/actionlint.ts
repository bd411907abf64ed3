/** actionlint, installed by Go the first time and kept with the build. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { root, run } from './run'

const VERSION = '1.7.12'

/** Resolves with the path of the program. */
export async function actionlint(): Promise<string> {
  const folder = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', `actionlint-${VERSION}`)
  const program = join(folder, 'actionlint')
  if (existsSync(program)) return program
  const module = `github.com/rhysd/actionlint/cmd/actionlint@v${VERSION}`
  const { code, stderr } = await run('go', ['install', module], { env: { GOBIN: folder }, deadlineMs: 570_000 }).catch(
    (cause) => {
      throw new Error('actionlint needs Go: install it', { cause })
    },
  )
  if (code !== 0) throw new Error(`actionlint cannot be installed:\n${stderr}`)
  return program
}
