/** What checkers of packages, and the compiler, say of the packed package: nothing. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { beforeAll, expect, test } from 'vitest'
import { type Packed, pack, packPublished, platformFolder, sharedDirectory } from './support/install'

const directory = sharedDirectory()
let main: Packed
let native: Packed

beforeAll(async () => {
  main = await packPublished(join(directory, 'main'))
  native = await pack(platformFolder(), join(directory, 'native'))
}, 120_000)

async function lint({ filename }: Packed) {
  const { messages, pkg } = await publint({ pack: { tarball: toArrayBuffer(readFileSync(filename)) }, strict: true })
  return messages.map((message) => formatMessage(message, pkg))
}

test('publint finds nothing in the main package', async () => {
  expect(await lint(main)).toEqual([])
})

test('publint finds nothing in the platform package', async () => {
  expect(await lint(native)).toEqual([])
})

test('the types are right however they are resolved', async () => {
  const checked = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(main.filename))))
  if (!checked.types) throw new Error('the package has no types')
  expect(checked.problems).toEqual([])
  // Each way of resolving finds each entry, and its types.
  for (const entry of ['.', './bun']) {
    const resolutions = checked.entrypoints[entry]?.resolutions
    expect(Object.keys(resolutions ?? {}).sort()).toEqual(['bundler', 'node10', 'node16-cjs', 'node16-esm'])
    for (const [kind, { resolution }] of Object.entries(resolutions ?? {})) {
      expect(resolution?.isTypeScript, `${entry} by ${kind}`).toBe(true)
    }
  }
})

function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
}
