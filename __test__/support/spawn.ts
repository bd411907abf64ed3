/**
 * Starts a fixture program as a service of its own and watches all its generations. Whatever it started is ended with
 * the test: every process carries a mark in its environment, and they share one process group.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { isAbsolute, join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { socketFiles, temporaryDirectory } from './directory'
import { Output } from './output'
import { alive, gone, hasVariable, look, type Process, processes, until } from './processes'
import { type Outcome, type RunOptions, run, shellflip } from './run'
import { subject } from './subject'

export interface StartOptions {
  /** Arguments of the program. */
  args?: string[]
  /** Arguments of Node, before the program. */
  execArgv?: string[]
  /** Default: the runtime under test, with its arguments. */
  file?: string
  cwd?: string
  /** Added to a clean environment; undefined takes away. */
  env?: NodeJS.ProcessEnv
  /** Default: a new one. */
  directory?: string
  /** Default 'ignore'; with 'pipe' there is `input()`; a number is a descriptor of the test's. */
  stdin?: 'ignore' | 'pipe' | number
  /** Default: whoever runs the tests. Only root may choose. */
  uid?: number
  gid?: number
}

/** What `shellflip restart --json` says of a restart that succeeded. */
export interface Restarted {
  pid: number
  generation: number
  durationMs: number
}

/** An event that a fixture said with `say()`. */
export type Said = { event: string; pid: number } & Record<string, unknown>

const MARK = 'SHELLFLIP_TEST'

/** Variables of whoever runs the tests that would make a service behave differently. */
const FOREIGN =
  /^(SHELLFLIP_|OXY_|LISTEN_|NOTIFY_SOCKET|RUNTIME_DIRECTORY|XDG_RUNTIME_DIR|SYSTEMD_|WATCHDOG_|NODE_|npm_|VITEST|pm_id|PM2_)/

/**
 * Starts `program` (a file of __test__/fixtures, an absolute path, or null if `execArgv` has the code). It finds its
 * coordination socket in $SHELLFLIP_SOCKET; wait for what it prints before using it.
 */
export function start(program: string | null, options: StartOptions = {}): Service {
  return new Service(program, options)
}

/** A service under test, all its generations together. */
export class Service {
  /** Temporary folder of this service: its socket and all its files. */
  readonly directory: string
  /** Path of the coordination socket. */
  readonly socket: string
  readonly output = new Output()
  /** Resolves when the first generation has ended. */
  readonly firstExit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly #mark = randomUUID()
  readonly #child: ChildProcess
  readonly #closed: Promise<void>

  constructor(program: string | null, options: StartOptions) {
    this.directory = options.directory ?? temporaryDirectory()
    this.socket = join(this.directory, 'service.sock')
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !FOREIGN.test(name)))
    const script = program === null ? [] : [isAbsolute(program) ? program : join(subject.fixtures, program)]
    this.#child = spawn(
      options.file ?? subject.file,
      [
        ...(options.file === undefined ? subject.args : []),
        ...(options.execArgv ?? []),
        ...script,
        ...(options.args ?? []),
      ],
      {
        cwd: options.cwd ?? this.directory,
        env: { ...env, TMPDIR: this.directory, SHELLFLIP_SOCKET: this.socket, [MARK]: this.#mark, ...options.env },
        stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
        detached: true,
        uid: options.uid,
        gid: options.gid,
      },
    )
    onTestFinished(() => this.kill())
    const { stdout, stderr } = this.#child
    if (stdout) this.output.follow(stdout)
    if (stderr) this.output.follow(stderr)
    this.firstExit = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('exit', (code, signal) => resolve({ code, signal }))
    })
    this.#closed = new Promise((resolve) => this.#child.on('close', () => resolve()))
    this.firstExit.catch(() => {})
  }

  /** Process id of the first generation. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Types something. */
  input(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Resolves with the first untaken line that matches. */
  line(pattern: RegExp, deadlineMs?: number): Promise<RegExpExecArray> {
    return this.output.line(pattern, deadlineMs)
  }

  /** Resolves with the first untaken event of that name, as a fixture said it with `say()`. */
  event(name: string, deadlineMs?: number): Promise<Said> {
    return this.output.take((line) => parse(line, name), `with the event '${name}'`, deadlineMs)
  }

  /** Runs the native `shellflip` against this service; resolves however that ended. */
  cli(command: string, args: string[] = [], options?: RunOptions): Promise<Outcome> {
    return run(shellflip, [command, '--socket', this.socket, ...args], options)
  }

  /** Restarts the service by the command line; fails the test unless that succeeds. */
  async restart(args: string[] = []): Promise<Restarted> {
    const { code, stdout, stderr } = await this.cli('restart', ['--json', ...args])
    expect(code, `shellflip restart said: ${stdout}${stderr}\nthe service said:\n${this.output.text()}`).toBe(0)
    return JSON.parse(stdout)
  }

  /** Every process of this service that runs: generations, launchers, and whatever they started. */
  processes(): Process[] {
    return this.everyProcess().filter(({ state }) => state !== 'Z')
  }

  /** The same with those that have ended and that nobody has waited for. */
  everyProcess(): Process[] {
    return processes().filter(
      ({ pid, group }) => (group === this.pid || hasVariable(pid, MARK, this.#mark)) && pid !== process.pid,
    )
  }

  /** Sends a signal to one generation. */
  signal(name: NodeJS.Signals, pid = this.pid): void {
    process.kill(pid, name)
  }

  /** Resolves once that generation has ended. */
  gone(pid: number, deadlineMs?: number): Promise<void> {
    return gone(pid, deadlineMs)
  }

  /** Asks the service to stop, by SIGTERM to `pid` or to all of it, and asserts that it ends clean. */
  async end(pid?: number): Promise<void> {
    for (const found of pid === undefined ? this.processes() : [look(pid)]) {
      if (found && alive(found.pid)) process.kill(found.pid, 'SIGTERM')
    }
    await this.clean()
  }

  /** Resolves once nothing of the service is left: no process, no socket file, and its output closed. */
  async clean(deadlineMs = 15_000): Promise<void> {
    await until(
      () => this.processes().length === 0,
      () => `still running: ${JSON.stringify(this.processes(), null, 2)}\nthe output was:\n${this.output.text()}`,
      deadlineMs,
    )
    await this.#closed
    expect(socketFiles(this.directory), 'socket files left behind').toEqual([])
  }

  /** Ends everything at once. Runs by itself when the test ends. */
  async kill(): Promise<void> {
    for (let found = this.processes(); found.length > 0; found = this.processes()) {
      for (const { pid } of found) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // Ended by itself.
        }
      }
      await until(() => found.every(({ pid }) => !alive(pid)), 'killed processes still run')
    }
  }
}

function parse(line: string, name: string): Said | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const said = JSON.parse(line)
    return said.event === name ? said : undefined
  } catch {
    return undefined
  }
}
