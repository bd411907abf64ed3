// Compiles one platform's files, for whatever machine this is.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { programs, replace } from '../native.mjs'
import { must, root } from '../run.mjs'
import { rustflags } from '../rustflags.mjs'
import { cache } from './cache.mjs'
import { GLIBC_FLOOR, MACOS_FLOOR } from './platforms.mjs'
import { rustFor } from './rust.mjs'
import { zig } from './zig.mjs'

const LAUNCHER = 'shellflip-launcher'
const built = join(cache, 'build')

/**
 * Compiles a platform's addon and programs into its package under npm/.
 *
 * @param {import('./platforms.mjs').Platform} platform
 */
export async function compile(platform) {
  const folder = `${root}/npm/${platform.name}`
  const linux = platform.os === 'linux'
  const oldest = !linux && { MACOSX_DEPLOYMENT_TARGET: MACOS_FLOOR[platform.arch] }
  const made = {}
  // The launcher comes first: core, which everything else contains, has it inside.
  const embedded = () => linux && made[LAUNCHER] && { SHELLFLIP_LAUNCHER_FILE: made[LAUNCHER] }
  for (const { crate, profile, file } of programs.toSorted((one) => (one.file === LAUNCHER ? -1 : 1))) {
    await cargo(platform.programs, platform.programs, ['--package', crate, '--bins', '--profile', profile], {
      ...(linux && rustflags(platform.programs, ['-C', 'target-feature=+crt-static', '-C', 'link-self-contained=no'])),
      ...embedded(),
      ...oldest,
    })
    made[file] = join(built, platform.programs, profile, file)
  }
  const spelled = platform.libc === 'gnu' ? `${platform.target}.${GLIBC_FLOOR}` : platform.target
  await cargo(platform.target, spelled, ['--package', 'shellflip-node', '--profile', 'release'], {
    // A library needs the loader's C library, which musl targets do not ask for by themselves.
    ...(platform.libc === 'musl' && rustflags(platform.target, ['-C', 'target-feature=-crt-static'])),
    ...embedded(),
    ...oldest,
  })
  const library = `libshellflip_node.${linux ? 'so' : 'dylib'}`
  mkdirSync(folder, { recursive: true })
  replace(join(built, platform.target, 'release', library), `${folder}/shellflip.${platform.name}.node`)
  for (const [file, path] of Object.entries(made)) replace(path, `${folder}/${file}`)
}

/** `cargo build` for a target; `spelled` is the target as zig wants it. */
async function cargo(target, spelled, args, env) {
  const rust = await rustFor(target)
  // On a Mac its own linker does, for both architectures.
  const own = process.platform === 'darwin' && target.endsWith('-darwin')
  await must(
    'cargo',
    [own ? 'build' : 'zigbuild', '--locked', '--target', own ? target : spelled, ...rust.args, ...args],
    {
      env: {
        ...(own ? {} : await zig()),
        ...rust.env,
        ...env,
        CARGO_TARGET_DIR: built,
        // There is no strip here for the files of a Mac.
        ...(target.endsWith('-darwin') &&
          !own && { CARGO_PROFILE_RELEASE_STRIP: 'false', CARGO_PROFILE_LAUNCHER_STRIP: 'false' }),
      },
    },
  )
}
