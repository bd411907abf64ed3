/**
 * Whether the first restart would end the service: is something waiting for the very process that a restart lets exit?
 * Only the first generation can tell, since every later one has another parent, so its decision travels in the environment
 * (see `supervised`). Anything unsure counts as none.
 */
import { existsSync, readFileSync } from 'node:fs'
import { inheritedSupervisor } from './supervised'

/** What waits for the service's process, and what to do so that it may be replaced. */
export interface Supervisor {
  /** As people call it: `tini`, `systemd`, `PM2`, `pid 1`. */
  readonly name: string
  /** What happens at a restart and what to do about it: sentences to follow an error's own. */
  readonly advice: string
}

/** What is looked at; the default is this process. */
export interface SupervisorWorld {
  readonly pid: number
  readonly ppid: number
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether an IPC channel to the parent is there, as PM2 makes one. */
  readonly ipc: boolean
  /** Reads a file of /proc; throws where there is none. */
  readFile(path: string): string
  /** Whether there is a file of that path, as far as that may be looked at. */
  exists(path: string): boolean
}

/** Inits of containers: they end with the one program that they started. */
const CONTAINER_INITS = ['tini', 'tini-static', 'dumb-init', 'docker-init', 'catatonit', 'podman-init']
/** Supervisors of foreground processes: when theirs exits they start another, beside the new generation. */
const RESPAWNERS = ['runsv', 's6-supervise', 'supervise', 'supervisord']
/** Programs that only wait for the one they started, as `npm start` does: by their title, or by the path of their script. */
const WRAPPER_TITLE = /^(npm|npx|yarn|pnpm)( |$)/
const WRAPPER_SCRIPT = /(^|\/)(npm|npx|yarn|pnpm|tsx)(-cli)?(\.[cm]?js)?(\/|$)/
const RUNTIME = /(^|\/)(node|bun)$/
const PYTHON = /^python[\d.]*$/
const SHELL = /^(sh|ash|dash|bash|zsh|ksh|busybox)$/
const RUN = 'shellflip run'
/** More ancestors than any chain of wrappers has. */
const MOST_ANCESTORS = 16

let decided = inheritedSupervisor

const realWorld: SupervisorWorld = {
  pid: process.pid,
  ppid: process.ppid,
  env: process.env,
  ipc: typeof process.send === 'function',
  readFile: (path) => readFileSync(path, 'utf8'),
  exists: maybeThere,
}

/** What Node's permission model hides counts as there: the service manager says where its socket is, and is believed. */
function maybeThere(path: string): boolean {
  try {
    return existsSync(path)
  } catch {
    return true
  }
}

/** The supervisor that the first restart would upset, or null. This process's own answer never changes. */
export function detectSupervisor(world: SupervisorWorld = realWorld): Supervisor | null {
  if (world !== realWorld) return decide(world)
  decided ??= decide(realWorld)?.name ?? ''
  return decided === '' ? null : supervisorNamed(decided)
}

function decide(world: SupervisorWorld): Supervisor | null {
  const { env } = world
  if (isFollowed(world)) return isHiddenFromRun(world) ? supervisorNamed(RUN) : null
  if (env.pm_id !== undefined && world.ipc) return supervisorNamed('PM2')
  if (world.pid === 1) return supervisorNamed('pid 1')
  if (env.SYSTEMD_EXEC_PID === String(world.pid)) return supervisorNamed('systemd')

  // Upwards through all that merely wait for us: their parent waits for us, too.
  let next = world.ppid
  for (let i = 0; i < MOST_ANCESTORS && next > 0; i++) {
    const ancestor = readProcess(world, next)
    if (ancestor === null) return null
    const { pid, name } = ancestor
    if (CONTAINER_INITS.includes(name) || RESPAWNERS.includes(name)) return supervisorNamed(name)
    // `python3 supervisord`: the name is the interpreter's, and supervisord marks what it starts.
    if (PYTHON.test(name) && env.SUPERVISOR_ENABLED !== undefined) return supervisorNamed('supervisord')
    // Before version 248 systemd did not say which process it started; a shell further down inherits INVOCATION_ID.
    if (name === 'systemd') return isServiceOfOldSystemd(env) ? supervisorNamed('systemd') : null
    if (!isWrapper(world, ancestor)) return null
    if (pid === 1) return supervisorNamed('pid 1')
    if (env.SYSTEMD_EXEC_PID === String(pid)) return supervisorNamed('systemd')
    next = ancestor.ppid
  }
  return null
}

/**
 * systemd's Type=notify and `shellflip run` follow the main process from one generation to the next, if they can be told:
 * a NOTIFY_SOCKET that came from elsewhere, such as from outside of a container, leads nowhere.
 */
function isFollowed({ env, exists }: SupervisorWorld): boolean {
  const { NOTIFY_SOCKET: socket = '' } = env
  return socket.startsWith('@') || (socket.startsWith('/') && exists(socket))
}

/** `shellflip run` follows what it has started itself: behind `npm start` it does not see the service. */
function isHiddenFromRun(world: SupervisorWorld): boolean {
  let next = world.ppid
  for (let i = 0; i < MOST_ANCESTORS && next > 0; i++) {
    const ancestor = readProcess(world, next)
    if (ancestor === null) return false
    if (ancestor.name === 'shellflip') return i > 0
    if (!isWrapper(world, ancestor)) return false
    next = ancestor.ppid
  }
  return false
}

function isServiceOfOldSystemd(env: SupervisorWorld['env']): boolean {
  return env.INVOCATION_ID !== undefined && env.SYSTEMD_EXEC_PID === undefined
}

interface Process {
  pid: number
  ppid: number
  name: string
}

/** From /proc/PID/stat: `pid (name) state ppid …`, where the name may itself hold spaces and parentheses. */
function readProcess(world: SupervisorWorld, pid: number): Process | null {
  try {
    const stat = world.readFile(`/proc/${pid}/stat`)
    const [, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { pid, ppid: Number(ppid), name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')) }
  } catch {
    return null
  }
}

/**
 * Whether a process ends when we do: a package manager's script runner, or a shell that runs a command or a script and
 * not one at which a person sits. Any other program, a Node program too, may have plans of its own.
 */
function isWrapper(world: SupervisorWorld, { pid, name }: Process): boolean {
  if (WRAPPER_TITLE.test(name)) return true
  const [program = '', ...args] = readCommandLine(world, pid)
  if (SHELL.test(name)) return args.some((arg) => !arg.startsWith('-') || /^-[a-z]*c$/.test(arg))
  if (!RUNTIME.test(program)) return false
  return args[0] === 'run' || WRAPPER_SCRIPT.test(args[0] ?? '') || isNodeRun(world, args)
}

/** Whether these are the arguments of the `node --run` that tells all below it which script of package.json it runs. */
function isNodeRun({ env }: SupervisorWorld, args: string[]): boolean {
  const { NODE_RUN_SCRIPT_NAME: script } = env
  return (
    script !== undefined &&
    args.some((arg, i) => arg === `--run=${script}` || (arg === '--run' && args[i + 1] === script))
  )
}

function readCommandLine(world: SupervisorWorld, pid: number): string[] {
  try {
    return world
      .readFile(`/proc/${pid}/cmdline`)
      .split('\0')
      .filter((part) => part !== '')
  } catch {
    return []
  }
}

const UNDER_RUN = 'start it as `shellflip run -- node server.js`, which stays while generations change'

function supervisorNamed(name: string): Supervisor {
  return { name, advice: adviceFor(name) }
}

function adviceFor(name: string): string {
  if (name === 'systemd') {
    return (
      'systemd takes the exit of the old generation for the end of the service: give the unit Type=notify and ' +
      'ExecReload=shellflip restart, so that it follows the new one'
    )
  }
  if (name === 'PM2') {
    return (
      'PM2 starts another copy as soon as the old generation exits: run the service without PM2, under systemd with ' +
      'Type=notify or under `shellflip run`, or let PM2 start `shellflip run -- node server.js`'
    )
  }
  if (name === RUN) {
    return (
      'it follows only the process that it has started itself, which waits for the service here: give it the program of ' +
      'the service, as `shellflip run -- node server.js`'
    )
  }
  if (name === 'pid 1')
    return `a container ends with its first process, or with the program that runs as it: ${UNDER_RUN}`
  if (CONTAINER_INITS.includes(name))
    return `${name} ends the container when the process it started exits: ${UNDER_RUN}`
  if (name === 'supervisord') {
    return (
      'supervisord takes the exit of the old generation for the end of the service, and starts another copy or gives it ' +
      `up: ${UNDER_RUN}`
    )
  }
  return `${name} starts another copy as soon as the old generation exits: ${UNDER_RUN}`
}
