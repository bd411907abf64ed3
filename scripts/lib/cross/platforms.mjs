// The platforms that packages are published for.
import { readFileSync } from 'node:fs'
import { root } from '../run.mjs'

/**
 * One of them.
 *
 * @typedef {object} Platform
 * @property {string} name as its folder under npm/ is called, for example linux-x64-gnu
 * @property {string} target the Rust target of its addon
 * @property {string} programs the Rust target of its programs: on Linux musl, which links statically for every libc
 * @property {string} os `linux` or `darwin`
 * @property {string} arch as Node says it: `x64` or `arm64`
 * @property {string | undefined} libc `gnu` or `musl` on Linux
 */

const architectures = { x86_64: 'x64', aarch64: 'arm64' }

/** The oldest glibc that the addon of a gnu platform loads with. */
export const GLIBC_FLOOR = '2.17'

/** The oldest macOS that each processor's files run on: what Rust supports. */
export const MACOS_FLOOR = { x64: '10.12', arm64: '11.0' }

/** Every one, in the order of package.json. @type {Platform[]} */
export const platforms = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')).napi.targets.map((target) => {
  const [cpu, vendor, system, libc] = target.split('-')
  const arch = architectures[cpu]
  if (vendor === 'apple') return { name: `darwin-${arch}`, target, programs: target, os: 'darwin', arch }
  const programs = `${cpu}-unknown-linux-musl`
  return { name: `${system}-${arch}-${libc}`, target, programs, os: 'linux', arch, libc }
})

/** The platforms of these names; of none, all. Throws, naming those there are, for another name. */
export function chosen(names) {
  if (names.length === 0) return platforms
  return names.map((name) => {
    const found = platforms.find((platform) => platform.name === name)
    if (!found) throw new Error(`there is no platform ${name}: ${platforms.map(({ name }) => name).join(', ')}`)
    return found
  })
}
