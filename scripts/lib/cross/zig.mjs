// Zig as the C compiler and linker of every target: it brings each C library, and an old glibc's symbols.
import { join } from 'node:path'
import { must } from '../run.mjs'
import { cache } from './cache.mjs'
import { pip } from './python.mjs'

const packages = ['ziglang==0.17.1', 'cargo-zigbuild==0.24.0']

/** Installs zig and cargo-zigbuild, once, and resolves with the environment in which `cargo zigbuild` finds them. */
export async function zig() {
  const programs = await pip(['install', ...packages])
  const where = await must(
    join(programs, 'python'),
    ['-c', 'import os, ziglang; print(os.path.dirname(ziglang.__file__))'],
    { quiet: true },
  )
  return {
    PATH: `${programs}:${process.env.PATH}`,
    CARGO_ZIGBUILD_ZIG_PATH: join(where.trim(), 'zig'),
    CARGO_ZIGBUILD_CACHE_DIR: join(cache, 'zigbuild'),
    ZIG_GLOBAL_CACHE_DIR: join(cache, 'zig-cache'),
    ZIG_LOCAL_CACHE_DIR: join(cache, 'zig-cache'),
  }
}
