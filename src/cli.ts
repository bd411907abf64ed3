#!/usr/bin/env node
/**
 * The `shellflip` command that npm installs. It replaces itself by the native program, so that no Node process stays in
 * front of it; where that is impossible, it runs the program and ends as it ended.
 *
 * It loads the addon directly and not by './native', and is built into one file that loads none of the others: what a
 * service manager left in the environment is for the program that `shellflip run` starts, and must not be read here.
 */
import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { addonDamage, addonPaths } from './addon-file'

const { platform, arch } = process

/** Platform packages that hold the program here. It is static, so that either will do on Linux. */
const packages =
  platform === 'linux'
    ? ['gnu', 'musl'].map((libc) => `@shellflip/node-linux-${arch}-${libc}`)
    : [`@shellflip/node-${platform}-${arch}`]

/** Signals for us that are meant for the program. SIGINT is not among them: a terminal sends it to both. */
const FORWARDED: NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR2']

main()

function main(): void {
  const file = findProgram()
  if (file === undefined) {
    fail(`shellflip: no native program for ${platform} ${arch}. ${remedy()}`)
    return
  }
  const args = process.argv.slice(2)
  replaceBy(file, args)
  run(file, args)
}

function remedy(): string {
  if (platform !== 'linux' && platform !== 'darwin') {
    return (
      'Services can be restarted on Linux and macOS only; here they run without restarts and have no coordination ' +
      'socket: end one with Ctrl-C.'
    )
  }
  return (
    `Install ${packages.join(' or ')} (npm does so unless optional dependencies are left out), or build it here with ` +
    '`npm run build`.'
  )
}

function findProgram(): string | undefined {
  const local = join(__dirname, 'native', 'shellflip')
  if (existsSync(local)) return local
  for (const name of packages) {
    try {
      return require.resolve(`${name}/shellflip`)
    } catch {
      // Not installed: the next one.
    }
  }
  return undefined
}

/** Returns only if it could not be done. */
function replaceBy(file: string, args: string[]): void {
  // A damaged addon could kill this process, and the program runs without it.
  if (addonDamage(addonPaths()) !== null) return
  try {
    const binding = require('./native/binding.cjs') as typeof import('./native/binding.cjs')
    binding.execReplace(file, args)
  } catch {
    // No addon for this platform: the program itself may run all the same.
  }
}

function run(file: string, args: string[]): void {
  // Caught before the program runs: a signal that came first would end this process and leave the program behind.
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal))
  process.on('SIGINT', () => {})
  const child = spawn(file, args, { stdio: 'inherit' })
  child.on('error', (error: NodeJS.ErrnoException) => {
    const help =
      error.code === 'EACCES' ? helpWithAccess(file) : 'Remove node_modules and install again, on this platform.'
    fail(`shellflip: cannot run ${file}: ${error.message}. ${help}`)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exitCode = code ?? 1
      return
    }
    for (const name of [...FORWARDED, 'SIGINT'] as const) process.removeAllListeners(name)
    process.kill(process.pid, signal)
    // Reached if this process ignores that signal.
    process.exitCode = 128 + constants.signals[signal]
  })
}

function helpWithAccess(file: string): string {
  if ((statSync(file).mode & 0o111) === 0) return `It must be executable: chmod +x ${file}`
  return 'It must be on a file system mounted without noexec, in folders that you may enter: install node_modules there.'
}

function fail(message: string): void {
  console.error(message)
  process.exitCode = 1
}
