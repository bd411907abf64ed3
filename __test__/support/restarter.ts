/**
 * The example program of the Rust crate `shellflip`: a service of another kind, and the crate's own client. It is built
 * by cargo from the crate's source as the registry gave it, unchanged, once; cargo's lock lets test files run side by side.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './run'

/** Building it from nothing takes a minute on a slow machine; give `beforeAll` this long. */
export const BUILD_DEADLINE_MS = 600_000

interface Metadata {
  packages: { name: string; manifest_path: string }[]
  target_directory: string
}

/** Builds the crate's `restarter`, if that has not been done yet; resolves with its path. */
export async function restarter(): Promise<string> {
  const { packages, target_directory } = JSON.parse(
    await cargo(['metadata', '--locked', '--format-version', '1']),
  ) as Metadata
  const manifest = packages.find(({ name }) => name === 'shellflip')?.manifest_path
  if (manifest === undefined) throw new Error('the workspace no longer depends on the crate shellflip')
  // Its own lockfile and target folder: what our workspace uses is not disturbed, and the versions are the crate's.
  const target = join(target_directory, 'crate')
  await cargo([
    'build',
    '--quiet',
    '--locked',
    '--manifest-path',
    manifest,
    '--example',
    'restarter',
    '--target-dir',
    target,
  ])
  const program = join(target, 'debug', 'examples', 'restarter')
  if (!existsSync(program)) throw new Error(`cargo built ${manifest}, but left no ${program}`)
  return program
}

async function cargo(args: string[]): Promise<string> {
  const env = { CARGO_PROFILE_DEV_DEBUG: '0', CARGO_BUILD_TARGET: undefined }
  const { code, stdout, stderr } = await run('cargo', args, { cwd: root, env, deadlineMs: BUILD_DEADLINE_MS })
  if (code !== 0) throw new Error(`cargo ${args[0]} failed:\n${stderr}`)
  return stdout
}
