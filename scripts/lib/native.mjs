// Builds everything that is Rust: the addon, and the two static programs that lie beside it.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { staysLoaded } from './elf.mjs'
import { hostPlatform, hostTarget, targetDir } from './platform.mjs'
import { CommandFailed, entries, must, mustLocal, root } from './run.mjs'
import { rustflags } from './rustflags.mjs'

/** The programs of a platform package: what cargo calls their package, their profile, and the file. */
export const programs = [
  { crate: 'shellflip-cli', profile: 'launcher', file: 'shellflip' },
  { crate: 'shellflip-launcher', profile: 'launcher', file: 'shellflip-launcher' },
]

/** Builds the addon into src/native and both programs into cargo's target folder. Cargo skips what is current. */
export async function buildNative() {
  const target = await hostTarget()
  for (const { crate, profile } of programs) {
    await must('cargo', ['build', '--locked', '--package', crate, '--bins', '--profile', profile, '--target', target], {
      // Static: 1.2 MB against 1.9, and one file for every libc. macOS has no static libc.
      env: target.includes('linux') ? rustflags(target, ['-C', 'target-feature=+crt-static']) : {},
    })
  }
  await mustLocal(entries.napi, [
    ...['build', '--platform', '--release', '--manifest-path', 'crates/node/Cargo.toml'],
    ...['--package-json-path', 'package.json', '--output-dir', 'src/native'],
    ...['--js', 'binding.cjs', '--dts', 'binding.d.cts', '--', '--locked'],
  ])
  return target
}

/** Copies what buildNative() made into dist/native and, if this platform has one, into its package under npm/. */
export function placeNative(target) {
  const addon = readdirSync(`${root}/src/native`).find((name) => name.endsWith(`.${hostPlatform()}.node`))
  if (!addon) throw new Error(`napi build left no addon for ${hostPlatform()} in src/native`)
  if (process.platform === 'linux' && !staysLoaded(readFileSync(`${root}/src/native/${addon}`))) {
    // A library unloaded under its own living thread crashes worker threads.
    throw new CommandFailed(`${addon} may be unloaded: it lacks the flag that crates/node/build.rs gives the linker`)
  }
  const files = [
    `${root}/src/native/${addon}`,
    ...programs.map(({ profile, file }) => `${targetDir}/${target}/${profile}/${file}`),
  ]
  const places = [`${root}/dist/native`]
  const platformPackage = `${root}/npm/${hostPlatform()}`
  if (existsSync(platformPackage)) places.push(platformPackage)
  for (const place of places) for (const file of files) replace(file, `${place}/${basename(file)}`)
  for (const name of ['binding.cjs', 'binding.d.cts'])
    replace(`${root}/src/native/${name}`, `${root}/dist/native/${name}`)
}

/** Copies a file. A running service has the old one mapped: it is replaced by a rename, never written to. */
export function replace(from, to) {
  mkdirSync(dirname(to), { recursive: true })
  const temporary = `${to}.${process.pid}`
  copyFileSync(from, temporary)
  if (!/\.\w+$/.test(to)) chmodSync(temporary, 0o755)
  renameSync(temporary, to)
}
