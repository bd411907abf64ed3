/** `node --env-file`: a new generation reads the files as they are by then. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readFromFiles } from '../src/env-file'
import { temporaryDirectory } from './support/directory'
import { start } from './support/spawn'

describe('what came from the files', () => {
  const directory = () => {
    const cwd = temporaryDirectory()
    writeFileSync(join(cwd, 'first'), 'A=1\nB="two\nlines"\nC=3\n')
    writeFileSync(join(cwd, 'second'), 'C=later\n')
    return cwd
  }

  it.each([
    [['--env-file=first', '--env-file=second']],
    [['--env-file', 'first', '--no-warnings', '--env-file-if-exists', 'second', '--env-file-if-exists=none']],
  ])('%j: the last file wins', (execArgv) => {
    const found = readFromFiles({ execArgv, cwd: directory() }, () => [])
    expect(Object.fromEntries(found)).toEqual({ A: '1', B: 'two\nlines', C: 'later' })
  })

  it('is nothing that was in the environment before', () => {
    const found = readFromFiles({ execArgv: ['--env-file=first'], cwd: directory() }, () => ['A=1', 'B=', ''])
    expect(Object.fromEntries(found)).toEqual({ C: '3' })
  })

  it('is nothing where there are none, and the environment is not asked for', () => {
    const never = () => {
      throw new Error('asked')
    }
    expect(readFromFiles({ execArgv: ['--import=./env-file', '-e', 'serve()'], cwd: '/' }, never).size).toBe(0)
  })
})

it('a new generation has what the file says now, what the program has set, and what came from outside', async () => {
  const directory = temporaryDirectory()
  const file = (text: string) => writeFileSync(join(directory, 'app.env'), text)
  file('SETTING_LEVEL=1\nSETTING_GONE=x\nSETTING_CHANGED=by the file\nSETTING_GIVEN=by the file\n')
  const service = start('prints-settings.mjs', {
    directory,
    execArgv: ['--env-file=app.env'],
    env: { SETTING_GIVEN: 'from outside' },
  })
  expect(await service.event('settings')).toMatchObject({
    SETTING_LEVEL: '1',
    SETTING_GONE: 'x',
    SETTING_CHANGED: 'by the file',
    SETTING_GIVEN: 'from outside',
  })
  await service.event('ready')
  for (const level of ['2', '3']) {
    file(`SETTING_LEVEL=${level}\nSETTING_NEW=${level}\nSETTING_CHANGED=by the file\nSETTING_GIVEN=by the file\n`)
    const { pid } = await service.restart()
    expect(await service.event('settings')).toEqual({
      event: 'settings',
      pid,
      SETTING_LEVEL: level,
      SETTING_NEW: level,
      SETTING_CHANGED: 'by the program',
      SETTING_GIVEN: 'from outside',
    })
  }
  await service.end()
})
