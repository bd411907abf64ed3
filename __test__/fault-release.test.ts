/**
 * Promise 5: a new release that does not even load. Errors from the import of the package on are told to whoever asked;
 * before it (and before any module runs, if one cannot be found or parsed) the exit code must do.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { Faulty } from './support/fault'
import { root } from './support/run'

const SERVE = JSON.stringify(`${root}/__test__/fixtures/serve.mjs`)
const PACKAGE = JSON.stringify(`${root}/dist/index.js`)
const GOOD = {
  'app.mjs': `import { serve } from ${SERVE}\nconst { ready } = await serve()\nawait ready()\n`,
  'app.cjs': `import(${SERVE}).then(({ serve }) => serve()).then(({ ready }) => ready())\n`,
}

/** The service is released well, then badly. */
async function releases(name: keyof typeof GOOD, bad: string, message: RegExp): Promise<void> {
  const directory = temporaryDirectory()
  const script = join(directory, name)
  writeFileSync(script, GOOD[name])
  const faulty = await Faulty.start(script, { directory })
  writeFileSync(script, bad)
  await faulty.failsByCommand({ code: 'GENERATION_EXITED', phase: 'starting', exitCode: 1, message })
  await faulty.service.end()
}

const told = (error: RegExp) =>
  new RegExp(`^generation 2 exited with code 1 while starting: ${error.source} \\(\\d+ ms\\)$`)
const UNTOLD =
  /^generation 2 exited with code 1 while starting \(\d+ ms\) before it called shellflip\(\): see what it printed$/

describe('before the package is loaded, the exit code and where to look', () => {
  it('it throws', () => releases('app.mjs', `throw new Error('no licence')`, UNTOLD))
  it('a module is missing', () => releases('app.mjs', `import ${PACKAGE}\nimport './missing.mjs'`, UNTOLD))
  it('it cannot be parsed', () => releases('app.mjs', `import ${PACKAGE}\nlet a b`, UNTOLD))
})

describe('from then on, the error itself', () => {
  const load = `require(${PACKAGE});`
  const rest = 'setInterval(() => {}, 1000);'

  it.each([
    ['a module is missing', `${load} require('./app.js')`, /Error: Cannot find module '\.\/app\.js'/],
    [
      'it cannot be parsed',
      `${load} new (require('node:vm').Script)('let a b', '/srv/app.js')`,
      /SyntaxError: Unexpected identifier 'b' \(\/srv\/app\.js:1\)/,
    ],
    ['it throws', `${load} throw new TypeError('no port')`, /TypeError: no port/],
    ['it throws a string', `${load} throw 'no port'`, /no port/],
    ['it throws in a later turn', `${load} setImmediate(() => { throw new Error('no port') })`, /Error: no port/],
    [
      'an assertion fails',
      `${load} require('node:assert').strictEqual(1, 2)`,
      /AssertionError: Expected values to be strictly equal: 1 !== 2/,
    ],
    ['a rejection is not handled', `${load} ${rest} Promise.reject(new Error('no port'))`, /Error: no port/],
    ['a rejection has no error', `${load} ${rest} Promise.reject('no port')`, /unhandled rejection: no port/],
    [
      'a handler of its own ends it',
      `${load} process.on('uncaughtException', () => process.exit(1)); throw new Error('no port')`,
      /Error: no port/,
    ],
  ])('%s', (_, bad, error) => releases('app.cjs', bad, told(error)))

  it.each([
    [
      'a module is missing',
      `await import('./missing.mjs')`,
      /Error: Cannot find module '.*missing\.mjs' imported from .*/,
    ],
    ['a module cannot be parsed', `await import('data:text/javascript,let a b')`, /SyntaxError: .*/],
    [
      'a module lacks an export',
      `await import('data:text/javascript,import {none} from "node:fs"')`,
      /SyntaxError: .* does not provide an export named 'none' \(data:.*:1\)/,
    ],
    ['a module throws', `import 'data:text/javascript,throw new Error("no port")'`, /Error: no port/],
  ])('ESM: %s', (_, bad, error) => releases('app.mjs', `import ${PACKAGE}\n${bad}`, told(error)))
})
