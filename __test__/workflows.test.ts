// The workflows do nothing that cannot be done here.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { actionlint } from './support/actionlint'
import { root, run } from './support/run'

const folder = join(root, '.github/workflows')
const { scripts, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
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
    const actions = values('uses').filter((action) => !action.startsWith('./'))
    expect(actions).not.toEqual([])
    expect(actions.filter((action) => !/^[\w-]+\/[\w-]+@v\d+$/.test(action))).toEqual([])
  })
})

interface Job {
  strategy?: { matrix: { include?: { node?: string }[] } }
  uses?: string
  needs?: string | string[]
  permissions?: Record<string, string>
  steps?: { uses?: string; run?: string; with?: Record<string, string> }[]
}
const jobsOf = (name: string): Record<string, Job> => parse(readFileSync(join(folder, name), 'utf8')).jobs

test('the suite runs on the oldest Node that the package takes', () => {
  const oldest = jobsOf('ci.yml').test?.strategy?.matrix.include?.map(({ node }) => `>=${node?.replace(/\.0$/, '')}`)
  expect(oldest).toEqual([engines.node])
})

describe('a release', () => {
  const jobs = jobsOf('release.yml')
  const needed = (name: string): string[] => {
    const needs = [jobs[name]?.needs ?? []].flat()
    return [...needs, ...needs.flatMap(needed)]
  }
  const publishing = Object.entries(jobs).filter(([, { steps = [] }]) =>
    steps.some(({ run }) => run?.includes('--publish')),
  )

  test('is published by one job, after all that CI does has passed', () => {
    expect(publishing).toHaveLength(1)
    const [[name] = ['']] = publishing
    expect(needed(name).map((each) => jobs[each]?.uses)).toContain('./.github/workflows/ci.yml')
    expect(needed(name).toSorted()).toEqual(
      Object.keys(jobs)
        .filter((each) => each !== name)
        .toSorted(),
    )
  })

  test('is published with a permission that no other job has, where nothing else is installed or run', () => {
    const all = [...Object.entries(jobs), ...Object.entries(jobsOf('ci.yml'))]
    expect(all.filter(([, { permissions }]) => permissions?.['id-token'] !== undefined)).toEqual(publishing)
    const steps = publishing.flatMap(([, { steps = [] }]) => steps)
    expect(steps.filter(({ run }) => run !== undefined)).toHaveLength(1)
    expect(steps.filter(({ uses }) => uses !== undefined && !uses.startsWith('actions/'))).toEqual([])
  })

  test('is made of artifacts that an earlier job has left', () => {
    const steps = [...Object.values(jobsOf('ci.yml')), ...Object.values(jobs)].flatMap(({ steps = [] }) => steps)
    const of = (action: string) =>
      steps.filter(({ uses }) => uses?.startsWith(`actions/${action}@`)).map((step) => step.with)
    const uploaded = of('upload-artifact').map((options) => options?.name ?? '')
    expect(uploaded).toHaveLength(3)
    for (const options of of('download-artifact')) {
      const wanted = options?.name ?? String(options?.pattern).replace('*', '')
      expect(
        uploaded.filter((name) => name.startsWith(wanted)),
        wanted,
      ).not.toEqual([])
    }
  })
})
