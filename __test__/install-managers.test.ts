/** Installed by other package managers, which let a package see only what it declares: a service restarts. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { commonJs, ESM, expectRestart, startConsumer } from './support/consumer'
import { pack, packPublished, platformFolder, sharedDirectory } from './support/install'
import { node, root, run, shellflip } from './support/run'

const directory = sharedDirectory()
const platformName = `@shellflip/node-${basename(platformFolder())}`
/** Both packages by their tarballs, as `file:` dependencies. */
let main: string
let platform: string

beforeAll(async () => {
  main = `file:${(await packPublished(join(directory, 'main'))).filename}`
  platform = `file:${(await pack(platformFolder(), join(directory, 'native'))).filename}`
}, 120_000)

/** Makes a folder that depends on the main package alone, and installs by a package manager of ours. */
async function installBy(
  name: string,
  entry: string,
  args: string[],
  manifest: object,
  files: [string, string][] = [],
) {
  const folder = join(directory, name)
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, dependencies: { '@shellflip/node': main }, ...manifest }),
  )
  for (const [file, text] of files) writeFileSync(join(folder, file), text)
  const { code, stdout, stderr } = await node([join(root, 'node_modules', entry), ...args], {
    cwd: folder,
    // Whatever it keeps for all projects goes with the test.
    env: { HOME: directory, XDG_CACHE_HOME: directory, XDG_DATA_HOME: directory, XDG_STATE_HOME: directory, CI: '1' },
    deadlineMs: 90_000,
  })
  expect(code, stdout + stderr).toBe(0)
  return folder
}

describe('pnpm', () => {
  let folder: string
  beforeAll(async () => {
    const store = join(directory, 'store')
    const args = ['install', '--offline', '--store-dir', store, '--ignore-workspace']
    folder = await installBy('pnpm', 'pnpm/bin/pnpm.cjs', args, { pnpm: { overrides: { [platformName]: platform } } })
  }, 120_000)

  test('lays the platform package where the main one alone sees it', () => {
    expect(existsSync(join(folder, 'node_modules', platformName))).toBe(false)
  })

  test.each([
    ['server.mjs', ESM],
    ['server.cjs', commonJs()],
  ])('%s restarts', async (name, text) => {
    await expectRestart(startConsumer(folder, name, text))
  })

  test('links the command', async () => {
    const { code, stdout } = await run(join(folder, 'node_modules/.bin/shellflip'), ['--version'])
    expect([code, stdout]).toEqual([0, (await run(shellflip, ['--version'])).stdout])
  })
})

describe("Yarn's Plug'n'Play", () => {
  let folder: string
  beforeAll(async () => {
    const settings =
      'nodeLinker: pnp\npnpEnableEsmLoader: true\nenableGlobalCache: false\nenableNetwork: false\nenableTelemetry: false\n'
    folder = await installBy(
      'yarn',
      '@yarnpkg/cli-dist/bin/yarn.js',
      ['install', '--no-immutable'],
      { resolutions: { [platformName]: platform } },
      [
        ['.yarnrc.yml', settings],
        ['yarn.lock', ''],
      ],
    )
  }, 120_000)

  test.each([
    ['server.mjs', ESM],
    ['server.cjs', commonJs()],
  ])('%s restarts, by the runtime that Yarn makes', async (name, text) => {
    expect(existsSync(join(folder, 'node_modules/@shellflip'))).toBe(false)
    const execArgv = ['--require', './.pnp.cjs', '--experimental-loader', './.pnp.loader.mjs', '--no-warnings']
    await expectRestart(startConsumer(folder, name, text, { execArgv }))
  })

  test('runs the command', async () => {
    const yarn = join(root, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js')
    const { code, stdout } = await node([yarn, 'run', 'shellflip', '--version'], {
      cwd: folder,
      env: { HOME: directory },
    })
    expect([code, stdout]).toEqual([0, (await run(shellflip, ['--version'])).stdout])
  })
})
