/** `npm install @shellflip/node`, as it goes once all packages of a release are in the registry. */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { ESM, expectRestart, startConsumer } from './support/consumer'
import { platformFolder, sharedDirectory } from './support/install'
import { registry } from './support/registry'
import { node, root, run } from './support/run'

const directory = sharedDirectory()
const here = basename(platformFolder())
let url: string

beforeAll(async () => {
  const artifacts = join(directory, 'artifacts')
  for (const name of readdirSync(join(root, 'npm'))) {
    mkdirSync(join(artifacts, name), { recursive: true })
    const { files } = JSON.parse(readFileSync(join(root, 'npm', name, 'package.json'), 'utf8'))
    for (const file of files) {
      if (name === here) cpSync(join(platformFolder(), file), join(artifacts, name, file))
      else writeFileSync(join(artifacts, name, file), 'for another platform')
    }
  }
  const options = { env: { CARGO_TARGET_DIR: directory }, deadlineMs: 120_000 }
  const { code, stderr } = await node([join(root, 'scripts/release.mjs'), artifacts], options)
  expect(code, stderr).toBe(0)
  url = await registry(join(directory, 'release-tarballs'))
}, 150_000)

const pnpm = join(root, 'node_modules/pnpm/bin/pnpm.cjs')

test.each([
  ['npm', (cache: string) => ['npm', 'install', '--no-audit', '--no-fund', '--cache', cache]],
  ['pnpm', (cache: string) => [process.execPath, pnpm, 'add', '--ignore-workspace', '--store-dir', cache]],
])(
  '%s installs the platform package that belongs here, and no other',
  async (name, command) => {
    const folder = join(directory, name)
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "private": true }\n')
    const [file = '', ...args] = command(join(directory, `${name}-cache`))
    // What `npm test` sets for its scripts would be taken for this one's own settings.
    const foreign = Object.keys(process.env).filter((each) => each.startsWith('npm_'))
    const env = { ...Object.fromEntries(foreign.map((each) => [each, undefined])), XDG_STATE_HOME: directory, CI: '1' }
    const options = { cwd: folder, env, deadlineMs: 90_000 }
    const { code, stdout, stderr } = await run(file, [...args, '--registry', url, '@shellflip/node'], options)
    expect(code, stdout + stderr).toBe(0)
    const installed = readdirSync(join(folder, 'node_modules'), { recursive: true, encoding: 'utf8' })
    const platforms = installed.flatMap((path) => /@shellflip[/+]node-([a-z0-9-]+)/.exec(path)?.[1] ?? [])
    expect([...new Set(platforms)]).toEqual([here])
    await expectRestart(startConsumer(folder, 'server.mjs', ESM))
  },
  150_000,
)
