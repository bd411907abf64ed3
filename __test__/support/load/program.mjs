// Starts one of the example programs, restarts it by the command line, and leaves no process and no file behind.
import { execFile, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** What has not been printed by then never will be. */
const PRINT_DEADLINE_MS = 30_000

/** Longer than a restart may take (readyTimeoutMs), a drain after it (drainTimeoutMs), and a shutdown (shutdownTimeoutMs). */
const RESTART_DEADLINE_MS = 90_000
const DRAIN_DEADLINE_MS = 45_000
const STOP_DEADLINE_MS = 15_000

/** The command line, as the package installs it. @returns {string[]} */
function cli() {
  const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return [process.execPath, join(ROOT, bin.shellflip)]
}

/** The line by which the examples say where they serve. */
const SERVES = / serves (\S+)$/

/** @typedef {{ ok: true, pid: number, generation: number, durationMs: number } | { ok: false, code: string, message: string }} Outcome */

/** A folder of our own under the temporary one; short, since a unix socket's path must be. */
export const temporaryFolder = () => mkdtempSync(join(tmpdir(), 'shellflip-'))

export class Program {
  /** What it printed, all generations together. @type {string[]} */
  output = []
  /** All generations have ended: nobody holds their standard output any more. @type {Promise<void>} */
  ended
  address = ''
  #lines = new EventEmitter()
  #child
  #known = new Set()
  #folder
  #socket

  /**
   * @param {string} script  an absolute path, or relative to the root of the repository
   * @param {{ args?: string[], env?: Record<string, string | undefined>, nodeArgs?: string[], front?: string[],
   *   runtime?: string, detached?: boolean }} [options]  front: a command that runs the runtime, with its arguments;
   *   runtime: default: this Node; detached: all its processes form a process group of their own, named like its first pid
   */
  constructor(
    script,
    { args = [], env = {}, nodeArgs = [], front = [], runtime = process.execPath, detached = false } = {},
  ) {
    this.#folder = temporaryFolder()
    this.#socket = join(this.#folder, 's')
    const [file = '', ...rest] = [...front, runtime, ...nodeArgs, resolve(ROOT, script), ...args]
    this.#child = spawn(file, rest, {
      cwd: ROOT,
      env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, PORT: '0', SHELLFLIP_SOCKET: this.#socket, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached,
    })
    this.#known.add(this.pid)
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface(stream).on('line', (line) => this.#line(line))
    }
    this.ended = once(this.#child, 'close').then(() => {})
  }

  /** @param {string} line */
  #line(line) {
    this.output.push(line)
    this.#lines.emit('line', line)
  }

  /** Starts it, and resolves when it serves. @param {ConstructorParameters<typeof Program>} options */
  static async start(...options) {
    const program = new Program(...options)
    try {
      const line = await program.printed(SERVES)
      program.address = SERVES.exec(line)?.[1] ?? ''
      return program
    } catch (error) {
      await program.kill()
      throw error
    }
  }

  /** Of generation 1. */
  get pid() {
    return Number(this.#child.pid)
  }

  get socket() {
    return this.#socket
  }

  /** Resolves with the first line any generation prints that matches. @param {RegExp} pattern @returns {Promise<string>} */
  printed(pattern) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => done(`printed no ${pattern} in time`), PRINT_DEADLINE_MS)
      /** @param {string} problem */
      const done = (problem) => {
        clearTimeout(timer)
        this.#lines.off('line', look)
        if (problem) reject(new Error(`${this.#child.spawnargs.join(' ')} ${problem}:\n${this.output.join('\n')}`))
      }
      /** @param {string} line */
      const look = (line) => {
        if (!pattern.test(line)) return
        done('')
        resolve(line)
      }
      this.#lines.on('line', look)
      this.ended.then(() => done(`ended before it printed ${pattern}`))
      this.output.forEach(look)
    })
  }

  /** `shellflip restart --json`: the outcome, whatever it is. @returns {Promise<Outcome>} */
  async restart() {
    const outcome = JSON.parse(await this.#command('restart', '--json'))
    if (outcome.ok) this.#known.add(outcome.pid)
    return outcome
  }

  /** @param {...string} args @returns {Promise<string>} what the command printed on its standard output */
  #command(...args) {
    const [file = '', ...first] = cli()
    const options = { cwd: ROOT, timeout: RESTART_DEADLINE_MS }
    return new Promise((resolve, reject) => {
      execFile(file, [...first, ...args, '--socket', this.#socket], options, (error, stdout, stderr) => {
        if (stdout) resolve(stdout)
        else reject(new Error(`shellflip ${args.join(' ')}: ${error?.message}\n${stderr}`))
      })
    })
  }

  /** The live processes of all generations. @returns {number[]} */
  processes() {
    if (process.platform !== 'linux') return [...this.#known].filter(alive)
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry) && environment(entry).includes(`\0SHELLFLIP_SOCKET=${this.#socket}\0`))
      .map(Number)
  }

  /** The live generations, without what they started. @returns {number[]} */
  generations() {
    return this.processes().filter((pid) => this.#known.has(pid))
  }

  /** Resolves when that process is gone; rejects if it is not, long after it should be. @param {number} pid */
  async gone(pid) {
    const deadline = performance.now() + DRAIN_DEADLINE_MS
    while (this.processes().includes(pid)) {
      if (performance.now() > deadline) throw new Error(`process ${pid} is still there, ${DRAIN_DEADLINE_MS} ms later`)
      await sleep(20)
    }
  }

  /** Ends every generation by SIGTERM, waits for them, and removes the files. */
  async stop() {
    this.#signal('SIGTERM')
    const stubborn = setTimeout(() => this.killSync(), STOP_DEADLINE_MS)
    await this.ended
    clearTimeout(stubborn)
    this.#clean()
  }

  /** The same by SIGKILL: after a failure, and when the user interrupts. */
  async kill() {
    this.killSync()
    await this.ended
  }

  killSync() {
    this.#signal('SIGKILL')
    this.#clean()
  }

  /** @param {NodeJS.Signals} signal */
  #signal(signal) {
    for (const pid of this.processes()) {
      try {
        process.kill(pid, signal)
      } catch {
        // It ended by itself meanwhile.
      }
    }
  }

  #clean() {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** @param {string} pid @returns {string} the environment of a process; of a zombie, a stranger or none: empty */
function environment(pid) {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`
  } catch {
    return ''
  }
}

/** @param {number} pid */
function alive(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
