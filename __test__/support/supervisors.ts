/**
 * Real supervisors, each with one service that it starts: by the file of docs/deploy/supervisors.md, with this test's
 * paths, or by the same one without `shellflip run`.
 */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { temporaryDirectory } from './directory'
import { installed } from './packages'
import { needsRoot } from './privileges'
import { blocks } from './readme'
import { type Outcome, root, run } from './run'
import { type Service, start } from './spawn'

/** The supervisor's own words, but for the last two: which process it watches, and how that has ended. */
type Verb = 'start' | 'stop' | 'restart' | 'pid' | 'exit'

/** How a supervisor is worked. */
interface Kind {
  /** First line, after a `#!`, of its file in the document. */
  file: string
  /** Puts that file, and what else is needed, into the folder; gives the command that starts the supervisor. */
  lay(directory: string, text: string): Promise<string[]>
  command(directory: string, verb: Verb): Promise<string[]>
  /** What 'exit' prints if the service ended with code 0. */
  clean: RegExp
}

const FINISHED = '#!/bin/sh\nprintf %s "$1" > finished\n'

/** Runs by sh what a supervisor that has no words for it wrote to a file. */
const print = (path: string): string[] => ['cat', path]

const kinds = {
  runsv: {
    file: '# runit: run',
    async lay(directory, text) {
      script(join(directory, 'sv', 'run'), text)
      script(join(directory, 'sv', 'finish'), FINISHED)
      return ['runsv', join(directory, 'sv')]
    },
    async command(directory, verb) {
      const folder = join(directory, 'sv')
      if (verb === 'pid') return print(join(folder, 'supervise/pid'))
      if (verb === 'exit') return print(join(folder, 'finished'))
      return ['sv', '-w', '20', verb, folder]
    },
    clean: /^0$/,
  },
  's6-supervise': {
    file: '# s6: run',
    async lay(directory, text) {
      script(join(directory, 'sv', 'run'), text)
      script(join(directory, 'sv', 'finish'), FINISHED)
      return ['s6-supervise', join(directory, 'sv')]
    },
    async command(directory, verb) {
      const folder = join(directory, 'sv')
      if (verb === 'pid') return ['s6-svstat', '-o', 'pid', folder]
      if (verb === 'exit') return print(join(folder, 'finished'))
      const words = { start: ['-wu', '-u'], stop: ['-wD', '-d'], restart: ['-wr', '-r'] }[verb]
      return ['s6-svc', '-T', '20000', ...words, folder]
    },
    clean: /^0$/,
  },
  supervisord: {
    file: '; supervisord: app.conf',
    async lay(directory, text) {
      writeFileSync(join(directory, 'app.conf'), text)
      const control = join(directory, 'control')
      const conf = `[supervisord]\nnodaemon=true\nlogfile=${directory}/log\npidfile=${directory}/pid\nchildlogdir=${directory}
[unix_http_server]\nfile=${control}\n[supervisorctl]\nserverurl=unix://${control}\n[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n[include]\nfiles=app.conf\n`
      writeFileSync(join(directory, 'supervisord.conf'), conf)
      return ['supervisord', '-c', join(directory, 'supervisord.conf')]
    },
    async command(directory, verb) {
      if (verb === 'exit') return print(join(directory, 'log'))
      return ['supervisorctl', '-c', join(directory, 'supervisord.conf'), verb, 'app']
    },
    clean: /stopped: app \(exit status 0\)/,
  },
  PM2: {
    file: '// ecosystem.config.cjs',
    async lay(directory, text) {
      writeFileSync(join(directory, 'ecosystem.config.cjs'), text)
      return [...(await pm2()), 'start', join(directory, 'ecosystem.config.cjs')]
    },
    async command(directory, verb) {
      if (verb === 'exit') return print(join(directory, 'pm2/pm2.log'))
      return [...(await pm2()), verb, 'app']
    },
    clean: /App \[app:0\] exited with code \[0\]/,
  },
} satisfies Record<string, Kind>

export type Name = keyof typeof kinds
export const names = Object.keys(kinds) as Name[]

/** For the tests under that supervisor: where its file in the document becomes the service's user, they need root. */
export function needsItsUser(name: Name): void {
  if (['runsv', 's6-supervise'].includes(name)) needsRoot()
}

/** What under-a-supervisor.mjs said. */
export type Said = { event: string; pid: number; generation?: number; supported?: boolean; port?: number; cut?: number }

/** One supervisor and its service. */
export class Supervised {
  private constructor(
    readonly service: Service,
    readonly directory: string,
    readonly socket: string,
    readonly kind: Kind,
  ) {}

  /** `front`: what of the document's command is put before the service's, `shellflip run …` or not. */
  static async start(name: Name, front: 'run' | 'nothing', env: NodeJS.ProcessEnv = {}): Promise<Supervised> {
    const kind: Kind = kinds[name]
    const directory = temporaryDirectory()
    install(directory)
    const socket = join(directory, front === 'run' ? 'app.sock' : 'service.sock')
    const text = adapted(kind.file, directory, socket)
    const command = await kind.lay(directory, front === 'run' ? text : withoutRun(text))
    const [file = '', ...execArgv] = command
    const service = start(null, { file, execArgv, directory, env: { ...environment(directory), ...env } })
    return new Supervised(service, directory, socket, kind)
  }

  /** The process that the supervisor started and watches. */
  async watched(): Promise<number> {
    return Number((await this.tell('pid')).stdout)
  }

  /** Runs one of the supervisor's own commands to its end. */
  async tell(verb: Verb): Promise<Outcome> {
    const [file = '', ...args] = await this.kind.command(this.directory, verb)
    return run(file, args, { env: environment(this.directory) })
  }

  /** Whether the supervisor noted that the service ended by itself, with code 0. */
  async endedClean(): Promise<boolean> {
    return this.kind.clean.test((await this.tell('exit')).stdout)
  }

  /** Resolves once that stands in what `endedClean` reads. */
  async logged(text: RegExp, deadlineMs = 15_000): Promise<void> {
    const end = performance.now() + deadlineMs
    for (let log = ''; !text.test(log); log = (await this.tell('exit')).stdout) {
      if (performance.now() > end) throw new Error(`no ${text} in:\n${log}`)
    }
  }

  /** Resolves once the service drains. */
  async draining(deadlineMs = 15_000): Promise<void> {
    const end = performance.now() + deadlineMs
    for (;;) {
      const { stdout, stderr } = await this.cli('status', '--json')
      if (stdout !== '' && JSON.parse(stdout).phase === 'draining') return
      if (performance.now() > end) throw new Error(`it does not drain: ${stdout}${stderr}`)
    }
  }

  /** Runs the native `shellflip` against the service. */
  cli(command: string, ...args: string[]): Promise<Outcome> {
    return run(join(root, 'dist/native/shellflip'), [command, '--socket', this.socket, ...args])
  }

  /** All that the service has said so far. */
  said(event: string): Said[] {
    return said(this.directory, event)
  }
}

/** What under-a-supervisor.mjs, started in that folder, has said so far. */
export function said(directory: string, event: string): Said[] {
  const file = join(directory, 'said')
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as Said).filter((each) => each.event === event)
}

/** Makes the folder a deployment: the package and its command are installed, and `server.mjs` is the fixture. */
export function install(directory: string): void {
  mkdirSync(join(directory, 'node_modules/.bin'), { recursive: true })
  symlinkSync(join(root, 'dist/cli.js'), join(directory, 'node_modules/.bin/shellflip'))
  const fixture = join(root, '__test__/fixtures/under-a-supervisor.mjs')
  writeFileSync(join(directory, 'server.mjs'), `import ${JSON.stringify(fixture)}\n`)
  writeFileSync(join(directory, 'package.json'), '{ "private": true, "scripts": { "start": "node server.mjs" } }\n')
}

function adapted(file: string, directory: string, socket: string): string {
  const block = blocks('docs/deploy/supervisors.md').find(({ text }) => text.replace(/^#!.*\n/, '').startsWith(file))
  expect(block, `a block that begins with ${file}`).toBeDefined()
  const { username } = userInfo()
  return (block?.text ?? '')
    .replaceAll('/srv/app/current', directory)
    .replaceAll(/\/(run\/app\/shellflip|tmp\/app)\.sock/g, socket)
    .replaceAll('-o app /run/app', `-o ${username} ${dirname(socket)}`)
    .replaceAll(/(chpst -u |s6-setuidgid |user=)app\b/g, `$1${username}`)
}

/** The same file, as written by somebody who does not know of `shellflip run`. */
function withoutRun(text: string): string {
  return text
    .replace(/[^\s=]*shellflip run --socket .*? -- /, '')
    .replace(/script: '.*shellflip'/, "script: 'server.mjs'")
    .replace(/args: .*\n.*interpreter: 'none',/, '')
}

function environment(directory: string): NodeJS.ProcessEnv {
  // The check for a newer version asks the network.
  return { PM2_HOME: join(directory, 'pm2'), PM2_DISABLE_VERSION_CHECK: 'true', NO_COLOR: '1' }
}

async function pm2(): Promise<string[]> {
  return [process.execPath, join(await installed('pm2'), 'node_modules/pm2/bin/pm2')]
}

function script(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text, { mode: 0o755 })
}
