/** Promise 3: there is nothing to start. Said by name, and nothing is left behind. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { Faulty } from './support/fault'
import { expectFile } from './support/footprint'
import { root } from './support/run'

const NOT_STARTED = { code: 'SPAWN_FAILED', phase: 'preparing', process: false }

describe('the program of the option command', () => {
  /** PROGRAM is whatever `make` puts there, then a script that starts the service. */
  async function program(make: (path: string) => void, message: (path: string) => RegExp, phase = 'preparing') {
    const directory = temporaryDirectory()
    const path = join(directory, 'program')
    const faulty = await Faulty.start('starts-a-program.mjs', { directory, env: { PROGRAM: path } })
    make(path)
    expectFile(faulty.before, path)
    await faulty.fails({ ...NOT_STARTED, phase, message: message(path) })
    rmSync(path, { recursive: true })
    writeFileSync(path, '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
    await faulty.succeeds()
  }
  const cannot = (code: string) => (path: string) =>
    new RegExp(`^the program ${path} cannot be run \\(${code}\\): put it back, or correct the option command$`)

  it('does not exist', async () => {
    const faulty = await Faulty.start('starts-a-program.mjs', { env: { PROGRAM: '/nowhere/program' } })
    await faulty.fails({ ...NOT_STARTED, message: cannot('ENOENT')('/nowhere/program') })
    await faulty.service.end()
  })

  it('is not executable', () =>
    program((path) => writeFileSync(path, '#!/bin/sh\n', { mode: 0o644 }), cannot('EACCES')))

  it('is a directory', () => program((path) => mkdirSync(path), cannot('not a file')))

  it('has an interpreter that does not exist', () =>
    program(
      (path) => writeFileSync(path, '#!/nowhere/sh -e\n', { mode: 0o755 }),
      (path) =>
        new RegExp(
          `^the program ${path} needs the interpreter /nowhere/sh -e, which does not exist \\(ENOENT, .*\\): install`,
        ),
      'starting',
    ))

  it('is no program', () =>
    program(
      (path) => writeFileSync(path, 'just text\n', { mode: 0o755 }),
      (path) =>
        new RegExp(`^the program ${path} is not an executable of this machine \\(ENOEXEC, .*\\): give a script its`),
      'starting',
    ))
})

describe('this program', () => {
  it('its directory was deleted', async () => {
    const cwd = join(temporaryDirectory(), 'app')
    mkdirSync(cwd)
    const faulty = await Faulty.start('serves.mjs', { cwd, env: { PWD: cwd } })
    rmSync(cwd, { recursive: true })
    await faulty.fails({
      ...NOT_STARTED,
      message: new RegExp(
        `^the working directory ${cwd} cannot be found \\(ENOENT\\): put it back, or start the service anew`,
      ),
    })
    mkdirSync(cwd)
    await faulty.succeeds()
  })

  it('its script was deleted', async () => {
    const folder = temporaryDirectory()
    const script = join(folder, 'app.mjs')
    const serve = JSON.stringify(`${root}/__test__/fixtures/serve.mjs`)
    writeFileSync(script, `import { serve } from ${serve}\nconst { ready } = await serve()\nawait ready()\n`)
    const faulty = await Faulty.start(script)
    renameSync(script, `${script}.old`)
    await faulty.fails({
      ...NOT_STARTED,
      message: new RegExp(`^the script ${script} cannot be found \\(ENOENT\\): put it back, or start the service anew`),
    })
    renameSync(`${script}.old`, script)
    await faulty.succeeds()
  })
})
