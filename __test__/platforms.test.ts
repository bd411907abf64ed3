// Every platform that a package is published for: named the same everywhere, and put together whole.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { rustflags } from '../scripts/lib/rustflags.mjs'
import { temporaryDirectory } from './support/directory'
import { node, root, run } from './support/run'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const names = readdirSync(join(root, 'npm'))
/** What npm pack calls the tarball of a platform's package, or of the main one. */
const tarballOf = (platform?: string) =>
  `shellflip-node${platform === undefined ? '' : `-${platform}`}-${manifest.version}.tgz`
const TARBALLS = [...names, undefined].map(tarballOf)
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
  expect(readdirSync(join(directory, 'release-tarballs')).sort()).toEqual(TARBALLS.toSorted())
  const tarball = join(directory, 'release-tarballs', tarballOf('linux-arm64-musl'))
  const { stdout: listed } = await run('tar', ['-tvzf', tarball])
  expect(listed).toMatch(/^-rwxr-xr-x .* package\/shellflip$/m)
  expect(listed).toMatch(/^-rwxr-xr-x .* package\/shellflip-launcher$/m)
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

describe('what was packed is published', () => {
  /** Publishes those tarballs by an npm whose registry is a file; resolves with what it was given to publish. */
  async function publish(
    files: string[],
    { tag = `v${manifest.version}`, there = [], broken = '' }: { tag?: string; there?: string[]; broken?: string } = {},
  ) {
    const directory = temporaryDirectory()
    const [tarballs, bin, log] = [join(directory, 'tarballs'), join(directory, 'bin'), join(directory, 'log')]
    for (const folder of [tarballs, bin]) mkdirSync(folder)
    for (const file of files) writeFileSync(join(tarballs, file), '')
    writeFileSync(join(directory, 'registry'), there.map((name) => `${name}@${manifest.version}\n`).join(''))
    writeFileSync(log, '')
    const npm = `#!/bin/sh
      if [ "$1" = view ]; then exec grep -qxF "$2" '${directory}/registry'; fi
      case "$2" in */'${broken}') exit 1;; esac
      echo "$*" >> '${log}'`
    writeFileSync(join(bin, 'npm'), npm, { mode: 0o755 })
    const env = { GITHUB_REF_NAME: tag, PATH: `${bin}:${process.env.PATH}` }
    const { code, stdout, stderr } = await node([join(root, 'scripts/release.mjs'), '--publish', tarballs], { env })
    const published = readFileSync(log, 'utf8').replaceAll(`${tarballs}/`, '').split('\n').filter(Boolean)
    return { code, said: stdout + stderr, published }
  }

  const command = (file: string) => `publish ${file} --provenance --access public --tag latest`

  test('with provenance, the main package last', async () => {
    const { code, said, published } = await publish(TARBALLS)
    expect(code, said).toBe(0)
    expect(published.toSorted()).toEqual(TARBALLS.map(command).toSorted())
    expect(published.at(-1)).toBe(command(tarballOf()))
  })

  test('a release that broke off is continued: what is there is left alone', async () => {
    const there = names.slice(1).map((name) => `${manifest.name}-${name}`)
    const { code, said, published } = await publish(TARBALLS, { there })
    expect(code, said).toBe(0)
    expect(published).toEqual([command(tarballOf(names[0])), command(tarballOf())])
  })

  test('the main package is not, if one that it names could not be', async () => {
    const { code, published } = await publish(TARBALLS, { broken: tarballOf('darwin-arm64') })
    expect(code).toBe(1)
    expect(published).not.toContain(command(tarballOf()))
  })

  test('nothing is, if a tarball is missing', async () => {
    const missing = tarballOf('linux-x64-musl')
    const { code, said, published } = await publish(TARBALLS.filter((file) => file !== missing))
    expect({ code, published }).toEqual({ code: 1, published: [] })
    expect(said).toContain(missing)
  })

  test('nothing is, if the tag is another version', async () => {
    const { code, said, published } = await publish(TARBALLS, { tag: 'v99.0.0' })
    expect({ code, published }).toEqual({ code: 1, published: [] })
    expect(said).toContain(`the tag is v99.0.0, but the version ${manifest.version}`)
  })
})
