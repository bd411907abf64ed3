/**
 * The example program of the Rust crate `shellflip`: a service of another kind, and the crate's own client. Cargo builds it
 * from the crate's source as the registry gave it, unchanged, and once; its lock lets test files ask side by side.
 */
import { join } from 'node:path'
import { root, run } from './run'

/** From nothing it takes a minute on a slow machine; give `beforeAll` this long. */
export const BUILD_DEADLINE_MS = 600_000

interface Metadata {
  packages: { name: string; manifest_path: string }[]
  target_directory: string
}

/** Builds the crate's `restarter`, if that has not been done yet; resolves with its path. */
export async function restarter(): Promise<string> {
  const host = /^host: (\S+)$/m.exec(await output('rustc', ['-vV']))?.[1] ?? ''
  // Of this platform only: what other platforms need has not been fetched.
  const metadata = await output('cargo', ['metadata', '--locked', '--format-version=1', '--filter-platform', host])
  const { packages, target_directory } = JSON.parse(metadata) as Metadata
  const manifest = packages.find(({ name }) => name === 'shellflip')?.manifest_path
  if (manifest === undefined) throw new Error('the workspace no longer depends on the crate shellflip')
  // With its own lockfile, and apart from what the workspace builds.
  const built = await output('cargo', [
    ...['build', '--quiet', '--locked', '--message-format=json', '--example=restarter'],
    ...['--manifest-path', manifest, '--target-dir', join(target_directory, 'crate')],
  ])
  for (const line of built.split('\n').filter(Boolean)) {
    const { target, executable } = JSON.parse(line)
    if (target?.name === 'restarter' && executable) return executable
  }
  throw new Error(`cargo built ${manifest}, but no restarter`)
}

async function output(file: string, args: string[]): Promise<string> {
  const env = { CARGO_PROFILE_DEV_DEBUG: '0' }
  const { code, stdout, stderr } = await run(file, args, { cwd: root, env, deadlineMs: BUILD_DEADLINE_MS })
  if (code !== 0) throw new Error(`${file} ${args[0]} failed:\n${stderr}`)
  return stdout
}
