// The workflows do nothing that cannot be done here.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { actionlint } from './support/actionlint'
import { root, run } from './support/run'

const folder = join(root, '.github/workflows')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
let lint: string

beforeAll(async () => {
  lint = await actionlint()
}, 600_000)

describe.each(readdirSync(folder))('%s', (name) => {
  const lines = readFileSync(join(folder, name), 'utf8').split('\n')
  /** The values of a key of steps. */
  const values = (key: string) =>
    lines.flatMap((line) => new RegExp(`^\\s*(?:- )?${key}:\\s*(.*)$`).exec(line)?.[1] ?? [])

  test('actionlint finds nothing', async () => {
    const { code, stdout } = await run(lint, ['-no-color', '-shellcheck=', '-pyflakes=', join(folder, name)])
    expect(stdout).toBe('')
    expect(code).toBe(0)
  })

  test('every step that runs something runs a script of this repository', () => {
    const commands = values('run')
    expect(commands).not.toEqual([])
    const unknown = commands.filter((command) => {
      const [, script] = /^npm run ([\w:-]+)(?: -- [^;&|]+)?$/.exec(command) ?? []
      const [, file] = /^(?:ba)?sh (\.ci\/\w+)[^;&|]*$/.exec(command) ?? []
      return script !== undefined ? scripts[script] === undefined : file === undefined || !existsSync(join(root, file))
    })
    expect(unknown).toEqual([])
  })

  test('every action is pinned to a major version', () => {
    const actions = values('uses')
    expect(actions).not.toEqual([])
    expect(actions.filter((action) => !/^[\w-]+\/[\w-]+@v\d+$/.test(action))).toEqual([])
  })
})
