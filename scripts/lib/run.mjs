// Runs other programs for the scripts. Node built-ins only: it works before `npm ci` has run.
import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The top folder of the repository; every command runs there. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A program that did not end with 0, or could not be started. */
export class CommandFailed extends Error {}

/**
 * Runs a program and resolves with its exit code and whatever of its output was captured.
 *
 * @param {string} file program, found on PATH
 * @param {string[]} args its arguments
 * @param {{ cwd?: string, env?: Record<string, string>, capture?: boolean, quiet?: boolean }} [options]
 *   cwd: default the repository; env: added to this process's; capture: keep the output as well as showing it; quiet: keep it and do not show it
 * @returns {Promise<{ code: number, output: string }>} code is 128 or more if a signal ended it
 */
export function run(file, args, { cwd = root, env = {}, capture = false, quiet = false } = {}) {
  return new Promise((resolve, reject) => {
    const piped = capture || quiet
    const child = spawn(file, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', piped ? 'pipe' : 'inherit', piped ? 'pipe' : 'inherit'],
    })
    let output = ''
    for (const [from, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      from?.setEncoding('utf8').on('data', (text) => {
        output += text
        if (!quiet) to.write(text)
      })
    }
    child.on('error', (error) => {
      const hint = error.code === 'ENOENT' ? `${file} was not found on PATH${installHint(file)}` : error.message
      reject(new CommandFailed(hint))
    })
    child.on('close', (code, signal) => resolve({ code: code ?? (signal ? 128 : 1), output }))
  })
}

/** As run(), but anything other than exit code 0 throws, with the output if nobody has seen it yet. */
export async function must(file, args, options = {}) {
  const { code, output } = await run(file, args, options)
  if (code !== 0) {
    if (options.quiet) process.stderr.write(output)
    throw new CommandFailed(`\`${[file, ...args].join(' ')}\` failed with exit code ${code}`)
  }
  return output
}

/** A command that `npm ci` installed, run by this very Node. */
export function local(entry, args, options) {
  return run(process.execPath, [`${root}/node_modules/${entry}`, ...args], options)
}

/** As local(), but throws as must() does. */
export function mustLocal(entry, args, options) {
  return must(process.execPath, [`${root}/node_modules/${entry}`, ...args], options)
}

/** Where the commands of node_modules begin. */
export const entries = {
  biome: '@biomejs/biome/bin/biome',
  napi: '@napi-rs/cli/dist/cli.js',
  tsc: 'typescript/bin/tsc',
  vitest: 'vitest/vitest.mjs',
}

function installHint(file) {
  if (file === 'cargo' || file === 'rustc') return ': install Rust 1.88 or newer'
  return ''
}

/** Says what went wrong and ends with 1; for the last line of a script. */
export function fail(error) {
  console.error(error instanceof CommandFailed ? error.message : error)
  process.exitCode = 1
}
