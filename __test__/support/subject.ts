/**
 * The runtime that runs the fixtures: this Node, unless the test file says otherwise before it starts any. Under another one
 * the fixtures are copied into a project of a user's, where the name of the package means the built package.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { temporaryFolder } from './load/program.mjs'
import { root } from './run'
import { project, runtime } from './runtimes'

/** What `start()` starts. */
export const subject = {
  file: process.execPath,
  /** Arguments of the runtime. */
  args: [] as string[],
  fixtures: join(root, '__test__/fixtures'),
}

/** From now on fixtures run under Bun or Deno, in this test file. Installs it. */
export async function subjectIs(name: 'bun' | 'deno'): Promise<void> {
  subject.file = await runtime(name)
  subject.args = name === 'deno' ? ['run', '-A'] : []
  const folder = temporaryFolder()
  afterAll(() => rmSync(folder, { recursive: true }))
  project(folder, '__test__/fixtures', '__test__/support/say.mjs')
  subject.fixtures = join(folder, '__test__/fixtures')
}
