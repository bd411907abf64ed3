/** Where the first restart would end the service it is refused, with what to do: seen under the real programs. */
import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { needsRoot } from './support/privileges'
import { alive, childOf, gone, until } from './support/processes'
import { shellflip } from './support/run'
import { type Service, start } from './support/spawn'
import { install, names, needsItsUser, Supervised, said } from './support/supervisors'

/** What a container runtime does: whatever runs in it ends with its first process. */
const CONTAINER = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child=SIGTERM']
const node = [process.execPath, 'server.mjs']
/** Node has it from 22 on. */
const nodeRun = Number.parseInt(process.versions.node, 10) >= 22

/** What a container runs first, and what the refusal says of it. */
const fronts = [
  ['itself', node, 'pid 1'],
  ['tini', ['tini', '--', ...node], 'tini'],
  ['tini-static', ['tini-static', '--', ...node], 'tini-static'],
  ['dumb-init', ['dumb-init', '--', ...node], 'dumb-init'],
  ['catatonit', ['catatonit', '--', ...node], 'catatonit'],
  // What `docker run --init` and `podman run --init` put there: the same programs under names of their own.
  ['docker-init', ['./docker-init', '--', ...node], 'docker-init'],
  ['podman-init', ['./podman-init', '--', ...node], 'podman-init'],
  ['a shell', ['sh', '-c', `${node.join(' ')}; exit $?`], 'pid 1'],
  ['npm start', ['npm', 'start'], 'pid 1'],
  ['run, and npm start', [shellflip, 'run', '--', 'npm', 'start'], 'shellflip run'],
  ...(nodeRun ? ([['node --run start', [process.execPath, '--run', 'start'], 'pid 1']] as const) : []),
] as const

function contained(command: readonly string[], env: NodeJS.ProcessEnv = {}): Service {
  const directory = temporaryDirectory()
  install(directory)
  for (const [name, program] of [
    ['docker-init', 'tini-static'],
    ['podman-init', 'catatonit'],
  ] as const) {
    const path = execFileSync('/bin/sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim()
    symlinkSync(path, join(directory, name))
  }
  const [file = '', ...execArgv] = [...CONTAINER, ...command]
  return start(null, { file, execArgv, directory, env })
}

async function ready(directory: string, service: Service, count = 1) {
  const all = () => said(directory, 'ready')
  await until(
    () => all().length >= count,
    () => `not ready:\n${service.output.text()}`,
    20_000,
  )
  return all()
}

describe('the first process of a container', () => {
  needsRoot()

  it.each(fronts)('is %s: refused', async (_, command, name) => {
    const service = contained(command)
    expect(await ready(service.directory, service)).toMatchObject([{ supported: false }])
    const { code, stderr } = await service.cli('restart')
    expect(code).toBe(1)
    expect(stderr).toContain('ERR_SHELLFLIP_UNSUPPORTED')
    expect(stderr).toContain(`a restart here would end the service (${name}): `)
    expect(stderr).toContain('`shellflip run -- node server.js`')
    expect((await service.cli('status')).code).toBe(0)
  })

  it.each(fronts)('is %s, which is ignored: the container ends with the first restart', async (_, command) => {
    const service = contained(command, { IGNORED: '1' })
    await ready(service.directory, service)
    for (const { pid } of serving(service)) process.kill(pid, 'SIGUSR2')
    await ready(service.directory, service, 2)
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.clean()
  })
})

describe('run in a container', () => {
  needsRoot()

  it.each([['tini'], ['catatonit'], ['dumb-init', '--single-child']])(
    'behind %s: restarts, and ends as the service ends',
    async (...init) => {
      const service = contained([...init, '--', shellflip, 'run', '--', ...node])
      expect(await ready(service.directory, service)).toMatchObject([{ supported: true }])
      for (const generation of [2, 3]) {
        expect((await service.cli('restart')).code).toBe(0)
        expect((await ready(service.directory, service, generation)).at(-1)).toMatchObject({ generation })
      }
      process.kill(childOf(service.pid).pid, 'SIGTERM')
      expect(await service.firstExit).toEqual({ code: 0, signal: null })
      await service.clean()
    },
  )
})

describe.each(names)('%s', (name) => {
  needsItsUser(name)

  it('is refused, and the service goes on', async () => {
    const supervised = await Supervised.start(name, 'nothing')
    const [first] = await ready(supervised.directory, supervised.service)
    expect(first).toMatchObject({ supported: false })
    const { code, stderr } = await supervised.cli('restart')
    expect(code).toBe(1)
    expect(stderr).toContain('ERR_SHELLFLIP_UNSUPPORTED')
    expect(stderr).toContain(`a restart here would end the service (${name}): `)
    expect(stderr).toContain('shellflip run -- node server.js')
    expect(alive(first?.pid ?? 0)).toBe(true)
    expect((await supervised.cli('status')).code).toBe(0)
  })

  it('is ignored: it loses the service, or starts a second one', async () => {
    const supervised = await Supervised.start(name, 'nothing', { IGNORED: '1' })
    const [first] = await ready(supervised.directory, supervised.service)
    const old = first?.pid ?? 0
    // It takes what ends in its first second for one that could not start.
    if (name === 'supervisord') await supervised.logged(/app entered RUNNING state/)
    process.kill(old, 'SIGUSR2')
    await gone(old)
    if (name === 'supervisord') await supervised.logged(/exited: app \(exit status 0; expected\)/)
    else await ready(supervised.directory, supervised.service, 3)
    const [, ...later] = said(supervised.directory, 'ready')
    const second = later.find(({ generation }) => generation === 2)
    expect(alive(second?.pid ?? 0)).toBe(true)
    expect(later.filter(({ generation }) => generation === 1)).toHaveLength(name === 'supervisord' ? 0 : 1)
    expect(await supervised.watched()).not.toBe(second?.pid)
  })
})

/** The generations of a contained service. Its own pids are not those that are seen from here. */
function serving(service: Service) {
  return service.processes().filter(({ command }) => command === node.join(' ') || command === 'node server.mjs')
}
