// Every platform that a package is published for: named the same everywhere, and put together whole.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { rustflags } from '../scripts/lib/rustflags.mjs'
import { temporaryDirectory } from './support/directory'
import { node, root } from './support/run'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const names = readdirSync(join(root, 'npm'))
const filesOf = (name: string): string[] =>
  JSON.parse(readFileSync(join(root, 'npm', name, 'package.json'), 'utf8')).files

test('docs/platforms.md lists exactly the targets that are built', () => {
  const rows = readFileSync(join(root, 'docs/platforms.md'), 'utf8').matchAll(/^\| `([\w-]+)` \| `([\w-]+)` \|/gm)
  const listed = [...rows].map(([, name, target]) => [name, target])
  expect(listed.map(([, target]) => target)).toEqual(manifest.napi.targets)
  expect(listed.map(([name]) => name).sort()).toEqual(names.sort())
})

const MUSL = 'CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUSTFLAGS'

// Where two of them are set, cargo reads the first in this order, and only that.
test.each([
  [{ CARGO_ENCODED_RUSTFLAGS: '-C\x1fdebuginfo=1' }, { CARGO_ENCODED_RUSTFLAGS: '-C\x1fdebuginfo=1\x1f-C\x1fa=b' }],
  [{ RUSTFLAGS: '-Cdebuginfo=1', [MUSL]: '-Clto' }, { RUSTFLAGS: '-Cdebuginfo=1 -C a=b' }],
  [{ RUSTFLAGS: '', [MUSL]: '-Clto' }, { RUSTFLAGS: '-C a=b' }],
  [{ [MUSL]: '-Clto' }, { [MUSL]: '-Clto -C a=b' }],
  [{}, { [MUSL]: '-C a=b' }],
])('with the flags of rustc in %j those of a platform are added', (environment, added) => {
  onTestFinished(() => void vi.unstubAllEnvs())
  for (const name of ['CARGO_ENCODED_RUSTFLAGS', 'RUSTFLAGS', MUSL]) vi.stubEnv(name, undefined)
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  expect(rustflags('aarch64-unknown-linux-musl', ['-C', 'a=b'])).toEqual(added)
})

test('a release has every file of every platform, executable, and names every platform package', async () => {
  const directory = temporaryDirectory()
  const artifacts = join(directory, 'artifacts')
  for (const name of names) {
    mkdirSync(join(artifacts, name), { recursive: true })
    for (const file of filesOf(name)) writeFileSync(join(artifacts, name, file), `${name} ${file}`)
  }
  const { code, stderr } = await release(directory, artifacts)
  expect(code, stderr).toBe(0)
  const released = join(directory, 'release-packages')
  for (const name of names) {
    for (const file of filesOf(name)) {
      const path = join(released, 'npm', name, file)
      expect(readFileSync(path, 'utf8')).toBe(`${name} ${file}`)
      if (!file.endsWith('.node')) expect(statSync(path).mode & 0o777, path).toBe(0o755)
    }
  }
  const { optionalDependencies } = JSON.parse(readFileSync(join(released, 'package.json'), 'utf8'))
  const expected = names.map((name) => [`${manifest.name}-${name}`, manifest.version])
  expect(optionalDependencies).toEqual(Object.fromEntries(expected))
  expect(readdirSync(join(released, 'dist/native')).sort()).toEqual(['binding.cjs', 'binding.d.cts'])
}, 120_000)

test.each(['shellflip', 'shellflip.linux-arm64-musl.node'])(
  'no release without %s of a platform',
  async (missing) => {
    const directory = temporaryDirectory()
    const artifacts = join(directory, 'artifacts')
    for (const name of names) {
      mkdirSync(join(artifacts, name), { recursive: true })
      for (const file of filesOf(name)) {
        if (name !== 'linux-arm64-musl' || file !== missing) writeFileSync(join(artifacts, name, file), '')
      }
    }
    const { code, stdout, stderr } = await release(directory, artifacts)
    expect(code).toBe(1)
    expect(stdout + stderr).toContain('linux-arm64-musl')
  },
  120_000,
)

function release(directory: string, artifacts: string) {
  const script = join(root, 'scripts/release.mjs')
  return node([script, artifacts], { env: { CARGO_TARGET_DIR: directory }, deadlineMs: 120_000 })
}
