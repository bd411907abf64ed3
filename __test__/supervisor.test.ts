import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { detectSupervisor, type SupervisorWorld } from '../src/supervisor'

const run = promisify(execFile)

/** A process tree: from the service's parent upwards, each [pid, name, command line]. */
type Ancestors = [pid: number, name: string, commandLine?: string[]][]

function world(
  ancestors: Ancestors,
  env: SupervisorWorld['env'] = {},
  rest: Partial<SupervisorWorld> = {},
): SupervisorWorld {
  const files = new Map<string, string>()
  ancestors.forEach(([pid, name, commandLine = [name]], i) => {
    files.set(`/proc/${pid}/stat`, `${pid} (${name}) S ${ancestors[i + 1]?.[0] ?? 0} 1 1 0`)
    files.set(`/proc/${pid}/cmdline`, `${commandLine.join('\0')}\0`)
  })
  return {
    pid: 100,
    ppid: ancestors[0]?.[0] ?? 0,
    env,
    ipc: false,
    readFile(path) {
      const text = files.get(path)
      if (text === undefined) throw new Error(`ENOENT ${path}`)
      return text
    },
    exists: (path) => path === '/run/systemd/notify',
    ...rest,
  }
}

const nameIn = (...args: Parameters<typeof world>) => detectSupervisor(world(...args))?.name ?? null
const npmStart: Ancestors = [
  [30, 'sh', ['sh', '-c', 'node server.js']],
  [20, 'npm start', ['npm start']],
]

describe('the first restart would end', () => {
  it('a container whose first process is the service', () => {
    expect(nameIn([], {}, { pid: 1 })).toBe('pid 1')
  })

  it.each(['tini', 'dumb-init', 'docker-init', 'catatonit', 'podman-init'])('a container under %s', (name) => {
    expect(nameIn([[1, name]])).toBe(name)
    expect(nameIn([...npmStart, [1, name]])).toBe(name)
    expect(
      nameIn([
        [7, name],
        [1, 'systemd'],
      ]),
    ).toBe(name)
  })

  it('a container whose first process only runs the service', () => {
    expect(nameIn([npmStart[0]!, [1, 'npm start']])).toBe('pid 1')
    expect(nameIn([[1, 'sh', ['/bin/sh', '/entrypoint.sh']]])).toBe('pid 1')
    expect(nameIn([[1, 'bash', ['bash', '-ec', 'migrate && node server.js']]])).toBe('pid 1')
    expect(nameIn([[1, 'node', ['node', '/app/node_modules/.bin/tsx', 'server.ts']]])).toBe('pid 1')
    expect(nameIn([[1, 'MainThread', ['/usr/bin/node', '/usr/local/bin/yarn', 'start']]])).toBe('pid 1')
    expect(nameIn([[1, 'bun', ['bun', 'run', 'start']]])).toBe('pid 1')
  })

  it.each([[['--run', 'start']], [['--run=start']], [['--env-file', '.env', '--run', 'start', '--', '--port=80']]])(
    'a container whose first process is node %j',
    (args) => {
      const first = [1, 'MainThread', ['/usr/bin/node', ...args]] satisfies Ancestors[number]
      expect(nameIn([npmStart[0]!, first], { NODE_RUN_SCRIPT_NAME: 'start' })).toBe('pid 1')
    },
  )

  it('a systemd service without notifications', () => {
    expect(nameIn([[1, 'systemd']], { SYSTEMD_EXEC_PID: '100', INVOCATION_ID: 'a' })).toBe('systemd')
    expect(nameIn([...npmStart, [1, 'systemd']], { SYSTEMD_EXEC_PID: '20' })).toBe('systemd')
    expect(
      nameIn(
        [
          [5, 'systemd'],
          [1, 'systemd'],
        ],
        { INVOCATION_ID: 'a' },
      ),
    ).toBe('systemd')
  })

  it('a process of PM2', () => {
    expect(nameIn([[50, 'PM2 v5.4.2: God']], { pm_id: '0' }, { ipc: true })).toBe('PM2')
  })

  it.each(['runsv', 's6-supervise', 'supervise', 'supervisord'])('a process of %s', (name) => {
    expect(
      nameIn([
        [9, name],
        [1, 'init'],
      ]),
    ).toBe(name)
  })

  it('a process of supervisord by way of its interpreter, and not of any other program in Python', () => {
    expect(nameIn([[9, 'python3.11']], { SUPERVISOR_ENABLED: '1' })).toBe('supervisord')
    expect(nameIn([[9, 'python3']])).toBeNull()
    const shell: Ancestors = [
      [30, 'bash'],
      [9, 'python3'],
    ]
    expect(nameIn(shell, { SUPERVISOR_ENABLED: '1' })).toBeNull()
  })

  it('what shellflip run started, which waits for the service', () => {
    const env = { NOTIFY_SOCKET: '@shellflip' }
    expect(nameIn([...npmStart, [1, 'shellflip', ['shellflip', 'run', '--', 'npm', 'start']]], env)).toBe(
      'shellflip run',
    )
    expect(nameIn([[1, 'shellflip']], env)).toBeNull()
    expect(nameIn([[9, 'shellflip'], ...npmStart, [1, 'shellflip']], env)).toBeNull()
    expect(detectSupervisor(world([npmStart[0]!, [1, 'shellflip']], env))?.advice).toMatch(/ -- node server\.js/)
  })

  it('and the advice says what to do', () => {
    for (const name of ['tini', 'runsv', 'systemd']) {
      const env = name === 'systemd' ? { SYSTEMD_EXEC_PID: '100' } : {}
      expect(detectSupervisor(world([[1, name]], env))?.advice).toMatch(/shellflip (run|restart)/)
    }
  })
})

describe('a restart is fine', () => {
  it('from a terminal, through npm start too', () => {
    const terminal: Ancestors = [
      [10, 'bash', ['-bash']],
      [9, 'sshd: me@pts/0'],
      [1, 'systemd'],
    ]
    expect(nameIn(terminal)).toBeNull()
    expect(nameIn([...npmStart, ...terminal])).toBeNull()
    expect(nameIn([[1, 'bash', ['bash', '-l']]])).toBeNull()
    expect(nameIn([[1, 'bash', ['bash']]])).toBeNull()
  })

  it('where the service manager is told of the new main process', () => {
    expect(nameIn([[1, 'systemd']], { NOTIFY_SOCKET: '/run/systemd/notify', SYSTEMD_EXEC_PID: '100' })).toBeNull()
    expect(nameIn([[1, 'shellflip']], { NOTIFY_SOCKET: '@shellflip' })).toBeNull()
    expect(nameIn([[1, 'tini']], { NOTIFY_SOCKET: '@shellflip' })).toBeNull()
  })

  it('but not where NOTIFY_SOCKET leads nowhere', () => {
    for (const NOTIFY_SOCKET of ['/nowhere/notify', 'vsock:2:1234', '']) {
      expect(nameIn([[1, 'systemd']], { NOTIFY_SOCKET, SYSTEMD_EXEC_PID: '100' })).toBe('systemd')
      expect(nameIn([[1, 'tini']], { NOTIFY_SOCKET })).toBe('tini')
      expect(nameIn([], { NOTIFY_SOCKET }, { pid: 1 })).toBe('pid 1')
    }
  })

  it('in a shell that a systemd service or a program under PM2 started', () => {
    const env = { SYSTEMD_EXEC_PID: '77', INVOCATION_ID: 'a', pm_id: '0' }
    expect(
      nameIn(
        [
          [10, 'bash'],
          [77, 'gnome-terminal-'],
          [5, 'systemd'],
        ],
        env,
      ),
    ).toBeNull()
    expect(
      nameIn(
        [
          [10, 'bash'],
          [5, 'systemd'],
        ],
        { INVOCATION_ID: 'a' },
      ),
    ).toBeNull()
  })

  it('under a program with plans of its own', () => {
    expect(nameIn([[1, 'node', ['node', 'manager.js']]])).toBeNull()
    expect(nameIn([[1, 'node', ['node', 'manager.js', '--run', 'start']]])).toBeNull()
    expect(nameIn([[1, 'node', ['node', 'manager.js']]], { NODE_RUN_SCRIPT_NAME: 'start' })).toBeNull()
    expect(
      nameIn([
        [30, 'node', ['node', '/app/node_modules/vitest/dist/workers/forks.js']],
        [1, 'tini'],
      ]),
    ).toBeNull()
  })

  it('where /proc says nothing', () => {
    expect(nameIn([], {}, { ppid: 4 })).toBeNull()
  })

  it('under a process whose name has spaces and parentheses', () => {
    expect(
      nameIn([
        [30, 'a) R 1 (b', ['a']],
        [1, 'tini'],
      ]),
    ).toBeNull()
  })
})

describe('real processes', () => {
  const fixture = join(__dirname, 'fixtures', 'detect-supervisor.cjs')
  const folder = mkdtempSync(join(tmpdir(), 'shellflip-supervisor-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const { NOTIFY_SOCKET: _, SHELLFLIP_SUPERVISED: __, ...env } = process.env

  async function detect(command: string[], extra: NodeJS.ProcessEnv = {}): Promise<unknown> {
    const [file = '', ...args] = command
    const { stdout } = await run(file, args, { env: { ...env, ...extra }, timeout: 20_000 })
    return JSON.parse(stdout)
  }
  const node = [process.execPath, fixture]

  it('started by a test: no supervisor', async () => {
    expect(await detect(node)).toEqual({ name: null, left: null })
  })

  it('a later generation takes over the decision of the first, and the variable is gone', async () => {
    expect(await detect(node, { SHELLFLIP_SUPERVISED: 'tini' })).toEqual({ name: 'tini', left: null })
    expect(await detect(node, { SHELLFLIP_SUPERVISED: '', pm_id: '1', SYSTEMD_EXEC_PID: '1' })).toEqual({
      name: null,
      left: null,
    })
  })

  const unshare = ['unshare', '--pid', '--fork', '--mount-proc']
  const namespaces = spawnSync('unshare', [...unshare.slice(1), 'true']).status === 0

  describe.skipIf(!namespaces)('in a pid namespace of their own (skipped where unshare --pid is not permitted)', () => {
    it('as process 1', async () => {
      expect(await detect([...unshare, ...node])).toMatchObject({ name: 'pid 1' })
    })

    it('below a shell that is process 1', async () => {
      const command = `${node.map((part) => `'${part}'`).join(' ')}; exit $?`
      expect(await detect([...unshare, 'sh', '-c', command])).toMatchObject({ name: 'pid 1' })
    })

    // A shell under the name of tini: what counts is the name of the parent.
    it('below tini', async () => {
      symlinkSync('/bin/sh', join(folder, 'tini'))
      const command = `${node.map((part) => `'${part}'`).join(' ')}; exit $?`
      expect(await detect([...unshare, join(folder, 'tini'), '-c', command])).toMatchObject({ name: 'tini' })
    })
  })
})
