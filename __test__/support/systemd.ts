/** A real systemd, in namespaces of its own, for the services of one test. Needs root; see systemd/boot.sh. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, onTestFinished } from 'vitest'
import { temporaryDirectory } from './directory'
import { isRoot, needsRoot } from './privileges'
import { replaceByProgram } from './programs'
import { type Outcome, root, run } from './run'

const SCRIPTS = join(root, '__test__/support/systemd')
const RECIPE = createHash('sha256')
  .update(readFileSync(join(SCRIPTS, 'root.sh')))
  .digest('hex')
  .slice(0, 12)
/** The folder of another Debian; kept from run to run, while what makes it is the same. */
const TRIXIE = join(root, `node_modules/.cache/shellflip-trixie-${RECIPE}`)
/** Where the checkout and Node are inside: nobody may not reach them where they are. */
export const CHECKOUT = '/srv/checkout'
export const NODE = '/srv/node'
/** `nobody`, here and in every Debian. */
const NOBODY = 65_534

/** The systemd of this machine, and a newer one from Debian trixie. */
export type Version = 'own' | '257'

/** A value of a key in a unit file; several make several lines. */
export type Settings = Record<string, string | number | readonly string[] | undefined>

/** What `under-systemd.mjs` is told. */
export interface Program {
  /** By name: a port on 127.0.0.1, or a path. */
  listen: Record<string, number | string>
  /** Of `shellflip()`. */
  options?: Record<string, unknown>
  /** Before `ready()`, in ms. */
  startMs?: number
  /** While that path is there, no generation calls `ready()`. */
  hold?: string
}

needsRoot()

// Made once, then kept. A mirror may be slow.
beforeAll(async () => {
  if (isRoot) await succeed(join(SCRIPTS, 'root.sh'), [TRIXIE])
}, 300_000)

export class Systemd {
  /** `/run/test` inside. Written to by the services, which run as nobody, in `app`. */
  readonly state: string

  static async boot(version: Version): Promise<Systemd> {
    const state = temporaryDirectory()
    chmodSync(state, 0o755)
    mkdirSync(join(state, 'app'))
    chownSync(join(state, 'app'), NOBODY, NOBODY)
    // Before it boots: a boot that fails leaves a cgroup behind.
    onTestFinished(() => void spawnSync(join(SCRIPTS, 'stop.sh'), [state]))
    const paths = [`checkout=${root}`, `node=${process.execPath}`]
    await succeed(join(SCRIPTS, 'boot.sh'), [state, version === '257' ? TRIXIE : '/', ...paths])
    return new Systemd(state)
  }

  private constructor(state: string) {
    this.state = state
  }

  /** Runs a program inside. */
  async inside(...command: [string, ...string[]]): Promise<Outcome> {
    const pid = (await succeed('cat', [join(this.state, 'pid')])).trim()
    return run('nsenter', ['-t', pid, '-m', '-p', '-C', '-u', '-i', '-n', '-r', '-w', '--', ...command], {
      env: { NODE_EXTRA_CA_CERTS: undefined },
      deadlineMs: 120_000,
    })
  }

  /** `systemctl`, however it ends. */
  ctl(...args: string[]): Promise<Outcome> {
    return this.inside('systemctl', ...args)
  }

  /** `systemctl`, which must succeed. */
  async do(...args: string[]): Promise<void> {
    const { code, stdout, stderr } = await this.ctl(...args)
    if (code !== 0) throw new Error(`systemctl ${args.join(' ')}: ${code}\n${stdout}${stderr}${await this.journal()}`)
  }

  /** A property of a unit. */
  async show(property: string, unit = 'app.service'): Promise<string> {
    return (await this.ctl('show', '--value', '-p', property, unit)).stdout.trim()
  }

  async mainPid(): Promise<number> {
    return Number(await this.show('MainPID'))
  }

  /** SIGKILL for a process, by its pid inside. */
  async kill(pid: number): Promise<void> {
    await this.inside('bash', '-c', `kill -KILL ${pid}`)
  }

  /** The processes that a process has started and that still run; waits for the first. */
  async children(pid: number, deadlineMs = 30_000): Promise<[number, ...number[]]> {
    const end = performance.now() + deadlineMs
    for (;;) {
      const { stdout } = await this.inside('bash', '-c', `cat /proc/${pid}/task/*/children`)
      const [first, ...others] = stdout.split(' ').filter(Boolean).map(Number)
      if (first !== undefined) return [first, ...others]
      if (performance.now() > end) throw new Error(`process ${pid} has started nothing\n${await this.journal()}`)
    }
  }

  /** Every process of the unit. */
  async processes(unit = 'app.service'): Promise<number[]> {
    const group = await this.show('ControlGroup', unit)
    // It has one only while it is up.
    if (group === '') return []
    const { stdout } = await this.inside('bash', '-c', `cat /sys/fs/cgroup${group}/cgroup.procs`)
    return stdout.split('\n').filter(Boolean).map(Number)
  }

  /** Everything that was logged. */
  async journal(): Promise<string> {
    await this.inside('journalctl', '--sync')
    return (await this.inside('journalctl', '-o', 'cat', '--no-pager')).stdout
  }

  /** Resolves once that property has that value. */
  async becomes(property: string, wanted: RegExp, deadlineMs = 30_000): Promise<string> {
    const end = performance.now() + deadlineMs
    for (;;) {
      const value = await this.show(property)
      if (wanted.test(value)) return value
      if (performance.now() > end) {
        throw new Error(`${property} is '${value}', not ${wanted}; the journal:\n${await this.journal()}`)
      }
    }
  }

  /** Resolves once systemd's list of jobs says so. */
  async queued(wanted: RegExp, deadlineMs = 30_000): Promise<void> {
    const end = performance.now() + deadlineMs
    for (;;) {
      const { stdout } = await this.ctl('list-jobs')
      if (wanted.test(stdout)) return
      if (performance.now() > end) throw new Error(`no job is ${wanted}:\n${stdout}`)
    }
  }

  /** Resolves once that was logged. */
  async logged(wanted: RegExp, deadlineMs = 30_000): Promise<string> {
    let text = ''
    const end = performance.now() + deadlineMs
    while (!wanted.test(text)) {
      if (performance.now() > end) throw new Error(`not in the journal: ${wanted}\n${text}`)
      text = await this.journal()
    }
    return text
  }

  /** Where a path inside `/run/test` is here. */
  here(path: string): string {
    return join(this.state, path.replace(/^\/run\/test\//, ''))
  }

  /** Makes a file of that name in /run/test/app. */
  tell(name: string): void {
    writeFileSync(this.here(`/run/test/app/${name}`), '')
  }

  /** Takes it away again. */
  untell(name: string): void {
    rmSync(this.here(`/run/test/app/${name}`))
  }

  /** Writes a unit file. */
  unit(name: string, sections: Record<string, Settings>): void {
    const lines = Object.entries(sections).flatMap(([section, settings]) => [
      `[${section}]`,
      ...Object.entries(settings).flatMap(([key, value]) =>
        (Array.isArray(value) ? value : value === undefined ? [] : [value]).map((each) => `${key}=${each}`),
      ),
    ])
    writeFileSync(join(this.state, 'units', name), `${lines.join('\n')}\n`)
  }

  /**
   * The unit `app.service` as docs/deploy has it, for that program; `settings` are changes, which may depend on the command
   * line. Does not start it.
   */
  service(program: Program, settings: Settings | ((command: string) => Settings) = {}): void {
    const script = join(this.state, 'app/server.mjs')
    if (lstatSync(script, { throwIfNoEntry: false }) === undefined)
      symlinkSync(join(CHECKOUT, '__test__/fixtures/under-systemd.mjs'), script)
    const command = `${NODE} /run/test/app/server.mjs '${JSON.stringify(program)}'`
    this.unit('app.service', {
      Unit: { DefaultDependencies: 'no', StartLimitIntervalSec: 0 },
      Service: {
        Type: 'notify',
        NotifyAccess: 'main',
        User: 'nobody',
        RuntimeDirectory: 'app',
        ExecStart: command,
        ExecReload: `${CHECKOUT}/dist/native/shellflip restart`,
        TimeoutStartSec: 90,
        TimeoutStopSec: 90,
        KillMode: 'control-group',
        Restart: 'on-failure',
        RestartSec: 0,
        ...(typeof settings === 'function' ? settings(command) : settings),
      },
    })
  }

  /** The next generation will be that fixture. */
  release(fixture: string): void {
    replaceByProgram(join(this.state, 'app/server.mjs'), join(CHECKOUT, '__test__/fixtures', fixture))
  }

  /** Resolves once no process of that pid (as seen inside) is left. */
  async gone(pid: number, deadlineMs = 45_000): Promise<void> {
    const end = performance.now() + deadlineMs
    while ((await this.inside('test', '-e', `/proc/${pid}`)).code === 0) {
      if (performance.now() > end) throw new Error(`process ${pid} still runs\n${await this.journal()}`)
    }
  }
}

/** Runs a program that must succeed; gives what it printed. */
async function succeed(file: string, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, { deadlineMs: 300_000 })
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`)
  return stdout
}
