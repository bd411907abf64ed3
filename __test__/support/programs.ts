/** One program file that is replaced while the service runs, as a deployment does it: by a rename. */
import { renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './run'

/** Puts the program `file` at `path`, which keeps its name: what starts there next is another program. */
export function replaceByProgram(path: string, file: string): void {
  symlinkSync(file, `${path}.next`)
  renameSync(`${path}.next`, path)
}

/** The same for a fixture: the file becomes a script that is replaced by Node, in the same process. */
export function replaceByFixture(path: string, fixture: string): void {
  const script = join(root, '__test__/fixtures', fixture)
  replaceByScript(path, `exec '${process.execPath}' '${script}' "$@"`)
}

/** The same for a shell script. */
export function replaceByScript(path: string, script: string): void {
  writeFileSync(`${path}.next`, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  renameSync(`${path}.next`, path)
}
