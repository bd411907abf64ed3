/**
 * Bun and Deno, as npm has them. They are no dependencies of the package, which most who work on it need not wait for:
 * the first test that wants one installs both, in the versions and with the checksums of runtimes/package-lock.json.
 */
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installed } from './packages'
import { root } from './run'

/** A runtime's program. Installs it; rejects if that fails or there is none for this platform. */
export async function runtime(name: 'bun' | 'deno'): Promise<string> {
  const arch = process.arch
  const file =
    name === 'bun' ? `@oven/bun-linux-${arch === 'arm64' ? 'aarch64' : arch}/bin/bun` : `@deno/linux-${arch}-glibc/deno`
  const program = join(await installed('runtimes'), 'node_modules', file)
  if (!existsSync(program)) throw new Error(`npm has installed no ${name} for ${process.platform} ${arch}: ${program}`)
  return program
}

/** Gives the folder the types of Bun, which bring those of Node. */
export async function linkBunTypes(folder: string): Promise<void> {
  const modules = join(await installed('runtimes'), 'node_modules')
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
  for (const types of ['@types/bun', 'bun-types'])
    symlinkSync(join(modules, types), join(folder, 'node_modules', types))
}

/** Makes `folder` a project of a user's, in which the package and these files of the repository are. */
export function project(folder: string, ...files: string[]): void {
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '@shellflip'), { recursive: true })
  symlinkSync(root, join(modules, '@shellflip/node'))
  // Deno knows only what is named there.
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "dependencies": { "@shellflip/node": "*" } }\n')
  for (const file of files) cpSync(join(root, file), join(folder, file), { recursive: true })
}
