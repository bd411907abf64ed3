/** Temporary folders that vanish with the test that asked for them. */
import { type Dirent, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A folder of this test's own, removed when the test ends. Its path is short: a unix socket's may have 107 bytes. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(realpathSync(tmpdir()), 'sf-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Every socket file below `directory`. */
export function socketFiles(directory: string): string[] {
  return entriesBelow(directory)
    .filter((entry) => entry.isSocket())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** All that lies below `directory`. Links are not followed, as newer Nodes do where they recurse. */
export function entriesBelow(directory: string): Dirent[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => [
    entry,
    ...(entry.isDirectory() ? entriesBelow(join(directory, entry.name)) : []),
  ])
}
