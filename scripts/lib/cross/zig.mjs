// Zig as the C compiler and linker of every target: it brings each C library, and an old glibc's symbols.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../run.mjs'
import { cache } from './cache.mjs'

const packages = ['ziglang==0.17.1', 'cargo-zigbuild==0.24.0']

/** Installs zig and cargo-zigbuild, once, and resolves with the environment in which `cargo zigbuild` finds them. */
export async function zig() {
  const folder = join(cache, 'zig')
  const installed = join(folder, packages.join('+'))
  if (!existsSync(installed)) {
    console.log(`installing ${packages.join(', ')}`)
    rmSync(folder, { recursive: true, force: true })
    await must('python3', ['-m', 'venv', folder])
    const unfinished = join(folder, 'unfinished')
    mkdirSync(unfinished)
    await must(join(folder, 'bin/pip'), ['install', '--quiet', ...packages])
    renameSync(unfinished, installed)
  }
  const where = await must(
    join(folder, 'bin/python'),
    ['-c', 'import os, ziglang; print(os.path.dirname(ziglang.__file__))'],
    { quiet: true },
  )
  return {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    CARGO_ZIGBUILD_ZIG_PATH: join(where.trim(), 'zig'),
    CARGO_ZIGBUILD_CACHE_DIR: join(cache, 'zigbuild'),
    ZIG_GLOBAL_CACHE_DIR: join(cache, 'zig-cache'),
    ZIG_LOCAL_CACHE_DIR: join(cache, 'zig-cache'),
  }
}
