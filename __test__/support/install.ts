/** The package as its users get it: packed, and installed into an empty folder without a network. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll } from 'vitest'
import { root, run } from './run'

/** One file of a package, as `npm pack --json` lists it. */
export interface PackedFile {
  path: string
  size: number
  mode: number
}

/** A package as npm packs it. */
export interface Packed {
  name: string
  filename: string
  size: number
  unpackedSize: number
  files: PackedFile[]
}

/** A folder for all tests of a file, removed after them. */
export function sharedDirectory(): string {
  const directory = mkdtempSync(join(realpathSync(tmpdir()), 'sf-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Packs the package in `folder` into `destination`. */
export async function pack(folder: string, destination: string): Promise<Packed> {
  mkdirSync(destination, { recursive: true })
  const { code, stdout, stderr } = await npm(['pack', '--json', '--pack-destination', destination], folder)
  if (code !== 0) throw new Error(`npm pack in ${folder} failed:\n${stderr}`)
  // One object by name since npm 11.7, a list before.
  const packed = Object.values<Packed>(JSON.parse(stdout))[0]
  if (packed === undefined) throw new Error(`npm pack in ${folder} packed nothing:\n${stdout}`)
  const filename = readdirSync(destination).find(
    (name) => name === packed.filename.replace(/^@/, '').replaceAll('/', '-'),
  )
  if (filename === undefined) throw new Error(`npm pack wrote ${readdirSync(destination)}, not ${packed.filename}`)
  return { ...packed, filename: join(destination, filename) }
}

/**
 * Packs the main package as it is published: with the platform packages among its optional dependencies, of which only
 * the one for this platform is there to be installed.
 */
export async function packPublished(destination: string): Promise<Packed> {
  const { filename } = await pack(root, join(destination, 'unpublished'))
  const { code, stderr } = await run('tar', ['-xzf', filename, '-C', destination])
  if (code !== 0) throw new Error(`unpacking ${filename} failed:\n${stderr}`)
  const path = join(destination, 'package', 'package.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  manifest.optionalDependencies = { [`${manifest.name}-${basename(platformFolder())}`]: manifest.version }
  writeFileSync(path, JSON.stringify(manifest))
  return pack(join(destination, 'package'), destination)
}

/** Installs packed packages into `folder`, which is made. */
export async function install(folder: string, ...tarballs: string[]): Promise<void> {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "private": true }\n')
  const { code, stderr } = await npm(['install', '--offline', '--no-audit', '--no-fund', ...tarballs], folder)
  if (code !== 0) throw new Error(`npm install failed:\n${stderr}`)
}

/** The folder under npm/ of the platform the tests run on. */
export function platformFolder(): string {
  const { platform, arch } = process
  const header = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header
  const libc = platform !== 'linux' ? '' : header.glibcVersionRuntime === undefined ? '-musl' : '-gnu'
  return join(root, 'npm', `${platform}-${arch}${libc}`)
}

// What `npm test` sets for its scripts would be taken for this npm's own settings.
function npm(args: string[], cwd: string) {
  const foreign = Object.keys(process.env).filter((name) => name.startsWith('npm_'))
  return run('npm', args, {
    cwd,
    env: Object.fromEntries(foreign.map((name) => [name, undefined])),
    deadlineMs: 60_000,
  })
}
