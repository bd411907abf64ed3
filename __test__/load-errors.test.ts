/** What cannot be loaded is refused with what to do about it, and importing alone never fails but under a Node too old. */
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodeRelease } from '../scripts/lib/node-release.mjs'
import { temporaryDirectory } from './support/directory'
import { type Placed, placePackage } from './support/placed'
import { node, type RunOptions, root, run } from './support/run'

const { platform, arch } = process
const engines = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node

/** What `shellflip()` says in a folder where `damage` was done to the packages. */
async function refusal(damage: (placed: Placed, folder: string) => unknown, options: RunOptions = {}) {
  const folder = temporaryDirectory()
  const placed = placePackage(folder)
  await damage(placed, folder)
  writeFileSync(
    join(folder, 'service.mjs'),
    `import { shellflip } from '@shellflip/node'
     const inert = await shellflip({ enabled: false, exit: false, shutdownSignals: [], restartSignal: false })
     await inert.shutdown()
     await shellflip().then(() => console.log('loaded'), ({ code, message }) => console.log(code, message))`,
  )
  const { code, signal, stdout, stderr } = await node(['service.mjs'], { cwd: folder, ...options })
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  const cli = await node([join(placed.dist, 'cli.js'), '--version'], { cwd: folder })
  return { said: stdout.trim(), placed, cli }
}

const refused = (reason: string) =>
  new RegExp(`^ERR_SHELLFLIP_UNSUPPORTED the native addon of @shellflip/node for .* could not be loaded: ${reason}`)

describe('a Node too old', () => {
  it.runIf(['linux', 'darwin'].includes(platform))(
    'is told which one is needed, by import and by require',
    async () => {
      const old = await nodeRelease('18.20.8')
      for (const args of [
        ['-e', `require('${root}/dist/index.js')`],
        ['--input-type=module', '-e', `import '${root}/dist/index.mjs'`],
      ]) {
        const { code, stderr } = await run(old, args)
        expect(code).toBe(1)
        expect(stderr).toContain(
          `ShellflipError: @shellflip/node needs Node ${engines.replace('>=', '>= ')}, and this is 18.20.8`,
        )
      }
    },
    180_000,
  )
})

describe('a platform package', () => {
  it('as it should be is loaded', async () => {
    const { said, cli } = await refusal(() => {})
    expect(said).toBe('loaded')
    expect(cli).toMatchObject({ code: 0, stderr: '' })
  })

  it('that is missing', async () => {
    const { said, cli } = await refusal(({ native }) => rmSync(native, { recursive: true }))
    expect(said).toMatch(
      refused(
        `@shellflip/node-${platform}-${arch}\\S* is not installed. Install it with: npm install @shellflip/node-`,
      ),
    )
    expect(cli.code).toBe(1)
    expect(cli.stderr).toMatch(/no native program .* Install @shellflip\/node-/)
  })

  it.each([0, 20, 4096, 1_400_000])('whose addon was cut off after %i bytes', async (size) => {
    const { said, placed, cli } = await refusal(({ addon }) => truncateSync(addon, size))
    expect(said).toMatch(
      refused(`${placed.addon}: file too short \\(${size} .*bytes\\)\\. .* damaged .* install again`),
    )
    // The program beside it is whole.
    expect(cli).toMatchObject({ code: 0, stderr: '' })
  })

  it('whose addon is something else', async () => {
    const { said } = await refusal(({ addon }) =>
      writeFileSync(addon, 'version https://git-lfs.example/spec/v1\n'.repeat(9)),
    )
    expect(said).toMatch(refused('.*: not a shared object of Linux\\. .* install again, on this platform$'))
  })

  it('whose addon cannot be read', async () => {
    const { said, placed, cli } = await refusal(({ addon }) => {
      rmSync(addon)
      mkdirSync(addon)
    })
    expect(said).toMatch(refused(`${placed.addon}: EISDIR: .*\\. .* damaged .* install again`))
    expect(cli).toMatchObject({ code: 0, stderr: '' })
  })

  it('whose addon is for another processor', async () => {
    const { said } = await refusal(({ addon }) => {
      const bytes = readFileSync(addon)
      bytes.writeUInt16LE(243, 18)
      writeFileSync(addon, bytes)
    })
    expect(said).toMatch(refused(`.*: not made for ${arch}\\. .* install again, on this platform$`))
  })

  // What an addon for musl needs, as its linkers call it; glibc has neither under that name.
  it.runIf(platform === 'linux').each(['libc.so', 'libc.musl-x86_64.so.1'])(
    'whose addon is for another C library, %s',
    async (name) => {
      const { said } = await refusal(async ({ addon }, folder) => {
        const library = join(folder, 'libc.other-libc.so.1')
        writeFileSync(join(folder, 'empty.c'), 'int shellflip_nothing(void) { return 0; }\n')
        const link = (output: string, ...args: string[]) =>
          run('cc', ['-shared', '-fPIC', '-o', output, ...args], { cwd: folder })
        await link(library, 'empty.c', `-Wl,-soname,${name}`)
        const { code, stderr } = await link(addon, 'empty.c', '-Wl,--no-as-needed', library)
        expect(code, stderr).toBe(0)
        rmSync(library)
      })
      expect(said).toMatch(refused('.*libc\\..*\\. It was made for another C library: .* npm install @shellflip/node-'))
    },
  )

  it('in a Node that loads no addons: which option that was, and not that the file is damaged', async () => {
    const { said } = await refusal(() => {}, { env: { NODE_OPTIONS: '--no-addons' } })
    expect(said).toMatch(refused('Cannot load native addon because .* is disabled\\. Start Node without --no-addons, '))
    expect(said).not.toMatch(/damaged|install/)
  })

  it('that is overridden by a variable naming nothing', async () => {
    const { said } = await refusal(() => {}, { env: { NAPI_RS_NATIVE_LIBRARY_PATH: '/nowhere/addon.node' } })
    expect(said).toMatch(refused('\\$NAPI_RS_NATIVE_LIBRARY_PATH names /nowhere/addon.node, .* Unset that variable'))
  })
})
