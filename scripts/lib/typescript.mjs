// Compiles src/ to dist/, and puts what every import loads into one file, and what the command loads into another.
import { chmodSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CommandFailed, entries, local, root } from './run.mjs'

/** Compiles, then removes from dist/ what no source file stands behind any more. dist/native is not touched. */
export async function buildTypeScript() {
  const { code, output } = await local(
    entries.tsc,
    ['-p', 'tsconfig.build.json', '--listEmittedFiles', '--noEmitOnError', '--pretty', 'false'],
    { quiet: true },
  )
  const lines = output.split('\n').filter(Boolean)
  const emitted = new Set(
    lines.filter((line) => line.startsWith('TSFILE: ')).map((line) => resolve(root, line.slice(8))),
  )
  if (code !== 0) {
    console.error(lines.filter((line) => !line.startsWith('TSFILE: ')).join('\n'))
    throw new CommandFailed('tsc found errors in src/')
  }
  // They need esbuild, which a fresh clone installs only after this file was loaded.
  const { bundleEager } = await import('./eager.mjs')
  emitted.add(await bundleEager())
  const { bundleCommand } = await import('./command.mjs')
  await bundleCommand()
  chmodSync(`${root}/dist/cli.js`, 0o755)
  const native = join(root, 'dist', 'native')
  for (const entry of readdirSync(`${root}/dist`, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && !path.startsWith(native) && !emitted.has(path)) rmSync(path)
  }
}
