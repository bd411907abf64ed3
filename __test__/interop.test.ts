/** The crate's own example beside our service: each restarts the other, and each becomes the other's next generation. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { get } from './support/http'
import { Output } from './support/output'
import { alive, descriptors, until, zombies } from './support/processes'
import { replaceByFixture, replaceByProgram, replaceByScript } from './support/programs'
import { BUILD_DEADLINE_MS, restarter } from './support/restarter'
import { type Outcome, run } from './support/run'
import { type Service, start } from './support/spawn'

/** Node has no unix datagram sockets; perl is part of every Debian. */
const SLOW_MANAGER = `
  use Socket; $| = 1;
  socket(S, AF_UNIX, SOCK_DGRAM, 0) or die $!; bind(S, pack_sockaddr_un($ARGV[0])) or die $!; print "bound\\n";
  sub hear { recv(S, $m, 65536, 0) // die $!; $m =~ s/\\n/ /g; print "$m\\n" }
  do { hear() } until $m =~ /MAINPID/; <STDIN>; while (1) { hear() }`

let rust = ''
beforeAll(async () => {
  rust = await restarter()
}, BUILD_DEADLINE_MS)

/** The crate's client, which takes the path of the socket as an option and says by its log how it went. */
function rustRestart(service: Service): Promise<Outcome> {
  return run(rust, ['--socket', service.socket, 'restart'], { env: { RUST_LOG: 'info' } })
}

/** A service whose program file can be replaced. */
function deployed(put: (path: string) => void, env: NodeJS.ProcessEnv = {}): { service: Service; program: string } {
  const directory = temporaryDirectory()
  const program = join(directory, 'service')
  put(program)
  const args = ['--socket', join(directory, 'service.sock')]
  // start() would put the arguments of Node first; there is none here.
  const service = start(null, { file: program, args, directory, env: { PROGRAM: program, RUST_LOG: 'info', ...env } })
  return { service, program }
}

/** The line by which the Rust service says that it listens. */
async function rustListening(service: Service) {
  const [, restarts, port] = await service.line(/^Instance no\. (\d+) listening on 127\.0\.0\.1:(\d+)$/)
  return { restarts: Number(restarts), port: Number(port) }
}

/** The Rust service's greeting, which names its process; the connection stays open. */
async function rustHello(port: number) {
  const socket = net.connect(port, '127.0.0.1')
  const [data] = await once(socket, 'data')
  const pid = Number(/^Hello, this is process (\d+)\n$/.exec(String(data))?.[1])
  return { pid, socket }
}

async function rustPid(port: number): Promise<number> {
  const { pid, socket } = await rustHello(port)
  socket.destroy()
  return pid
}

const ask = async (port: unknown) => JSON.parse((await get({ port: Number(port) }, '/')).body)

describe("the crate's client", () => {
  it('restarts our service, and prints the pid of the new generation', async () => {
    const service = start('serves.mjs')
    const { port } = await service.event('ready')
    const { code, stderr } = await rustRestart(service)
    expect(code, stderr).toBe(0)
    const { pid } = await service.event('ready')
    expect(stderr).toContain(`Restart succeeded, child pid is ${pid}`)
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    expect(await ask(port)).toEqual({ pid, generation: 2 })
    await service.end(Number(pid))
  })

  it('is told why a restart failed, with the code in front', async () => {
    const service = start('throws-before-ready.mjs')
    const { pid, port } = await service.event('ready')
    const { code, stderr } = await rustRestart(service)
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /Restart failed: ERR_SHELLFLIP_GENERATION_EXITED: generation 2 exited with code 1 while starting: .*the database is gone/,
    )
    expect(await ask(port)).toEqual({ pid, generation: 1 })
    await service.end(Number(pid))
  })

  it('is refused while a restart is in progress, at once', async () => {
    const service = start('never-ready.mjs', { env: { READY_TIMEOUT_MS: '0' } })
    const { pid } = await service.event('ready')
    const first = rustRestart(service)
    await service.event('listening')
    await service.event('listening')
    expect((await rustRestart(service)).stderr).toContain('Restart failed: ERR_SHELLFLIP_RESTART_IN_PROGRESS: ')
    await service.end(Number(pid))
    expect((await first).stderr).toContain('Restart failed: ERR_SHELLFLIP_DRAINING: ')
  })
})

describe('our command line', () => {
  it('restarts a Rust service', async () => {
    const { service } = deployed((path) => replaceByProgram(path, rust))
    await rustListening(service)
    const { code, stdout, stderr } = await service.cli('restart', ['--json'])
    expect(code, stdout + stderr).toBe(0)
    const { restarts, port } = await rustListening(service)
    const pid = await rustPid(port)
    expect(restarts).toBe(1)
    expect(JSON.parse(stdout)).toEqual({ ok: true, pid, durationMs: expect.any(Number) })
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    const again = await service.cli('restart')
    expect(again.stdout).toMatch(/^ready \(pid \d+, \d+ ms\)\n$/)
    await rustListening(service)
    await service.kill()
  })

  it('says what a Rust service says of a restart that failed; its text has no code', async () => {
    const { service, program } = deployed((path) => replaceByProgram(path, rust))
    await rustListening(service)
    replaceByScript(program, 'exit 3')
    const { code, stdout } = await service.cli('restart', ['--json'])
    expect(code).toBe(1)
    const message = 'Child failed to start: child failed to notify parent'
    expect(JSON.parse(stdout)).toEqual({ ok: false, code: null, message })
  })

  it.each(['status', 'stop'])(
    '%s of a Rust service says that the crate has none, and does no harm',
    async (command) => {
      const { service } = deployed((path) => replaceByProgram(path, rust))
      const { port } = await rustListening(service)
      const { code, stdout, stderr } = await service.cli(command)
      expect(code).toBe(1)
      expect(stdout).toBe('')
      expect(stderr).toMatch(/[Ss]ervices? of the Rust crate/)
      expect(await rustPid(port)).toBe(service.pid)
      expect((await service.cli('restart')).code).toBe(0)
    },
  )

  it('status --json of a Rust service has a code', async () => {
    const { service } = deployed((path) => replaceByProgram(path, rust))
    await rustListening(service)
    const { code, stdout } = await service.cli('status', ['--json'])
    expect(code).toBe(1)
    const message = expect.stringContaining(`(pid ${service.pid}) runs but gives no status`)
    expect(JSON.parse(stdout)).toEqual({ ok: false, code: 'ERR_SHELLFLIP_UNSUPPORTED', message })
  })
})

describe('a Rust service becomes a Node one', () => {
  it('when its program file is replaced: bytes, readiness and coordination socket come over', async () => {
    const { service, program } = deployed((path) => replaceByProgram(path, rust))
    await rustListening(service)
    replaceByFixture(program, 'counts-as-the-crate.mjs')
    const restarted = await service.restart()
    const { pid, port } = await service.event('ready')
    expect(restarted).toMatchObject({ pid, generation: 2 })
    expect(await service.event('received')).toMatchObject({ pid, restarts: 1, bytes: 4 })
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    expect(await ask(port)).toEqual({ pid, generation: 2 })
    const status = JSON.parse((await service.cli('status', ['--json'])).stdout)
    expect(status).toMatchObject({ pid, generation: 2, phase: 'ready', socket: service.socket })
    // From here on it is a service of this package: the next restart hands over the listener, too.
    const next = await service.restart()
    expect(next.generation).toBe(3)
    expect(await service.event('received')).toMatchObject({ restarts: 2 })
    expect(await ask(port)).toEqual({ pid: next.pid, generation: 3 })
    await service.gone(Number(pid))
    await service.end(next.pid)
  })

  it("keeps the old one's clients until they leave", async () => {
    const { service, program } = deployed((path) => replaceByProgram(path, rust))
    const { socket } = await rustHello((await rustListening(service)).port)
    replaceByFixture(program, 'counts-as-the-crate.mjs')
    const { pid } = await service.restart()
    socket.write('still there?')
    expect(String((await once(socket, 'data'))[0])).toBe('still there?')
    expect(alive(service.pid)).toBe(true)
    socket.end()
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.end(pid)
  })

  it('or fails, and the old one ends, as the defaults of the crate have it', async () => {
    const { service, program } = deployed((path) => replaceByProgram(path, rust))
    await rustListening(service)
    replaceByFixture(program, 'throws-before-ready.mjs')
    const { code, stderr } = await service.cli('restart')
    expect(code).toBe(1)
    expect(stderr).toContain('not restarted')
    expect(stderr).toContain('child failed to notify parent')
    await service.line(/Error: the database is gone/)
    // RestartConfig::exit_on_error.
    await service.line(/Restart task failed/)
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    expect(service.processes()).toEqual([])
  })
})

describe('a Node service becomes a Rust one', () => {
  it('when its program file is replaced: bytes arrive, its byte is SERVING, the old one drains and exits', async () => {
    const { service, program } = deployed((path) => replaceByFixture(path, 'counts-as-the-crate.mjs'))
    const { port: ours } = await service.event('ready')
    replaceByProgram(program, rust)
    const { code, stdout, stderr } = await service.cli('restart', ['--json'])
    expect(code, stdout + stderr + service.output.text()).toBe(0)
    const { restarts, port } = await rustListening(service)
    expect(restarts).toBe(1)
    const pid = await rustPid(port)
    expect(JSON.parse(stdout)).toEqual({ ok: true, pid, durationMs: expect.any(Number) })
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    // The listener that it could not be given is closed: it would be open and unanswered for as long as the Rust one runs.
    await expect(ask(ours)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    // It answers the coordination socket: there and back again.
    replaceByFixture(program, 'counts-as-the-crate.mjs')
    const back = await service.restart()
    expect(back.generation).toBe(3)
    expect(await service.event('received')).toMatchObject({ restarts: 0 })
    expect(await service.event('received')).toMatchObject({ restarts: 2, bytes: 4 })
    await service.gone(pid)
    await service.end(back.pid)
  })

  it('its unix socket files go with it', async () => {
    const env = { LISTEN_PATH: 'web.sock' }
    const { service, program } = deployed((path) => replaceByFixture(path, 'counts-as-the-crate.mjs'), env)
    await service.event('ready')
    const path = join(service.directory, 'web.sock')
    expect((await get({ socketPath: path }, '/')).status).toBe(200)
    replaceByProgram(program, rust)
    expect((await service.cli('restart')).code).toBe(0)
    await service.firstExit
    expect(existsSync(path)).toBe(false)
    expect(existsSync(service.socket)).toBe(true)
  })

  it('or fails: the old one serves as if nothing had happened, and nothing is left', async () => {
    const env = { SENDS_NOTHING: '1' }
    const { service, program } = deployed((path) => replaceByFixture(path, 'counts-as-the-crate.mjs'), env)
    const { pid, port } = await service.event('ready')
    replaceByProgram(program, rust)
    let before = 0
    for (let attempt = 0; attempt < 3; attempt++) {
      const { code, stdout } = await service.cli('restart', ['--json'])
      expect(code).toBe(1)
      const failure = JSON.parse(stdout)
      expect(failure).toMatchObject({ ok: false, code: 'ERR_SHELLFLIP_GENERATION_EXITED' })
      expect(failure.message).toMatch(/^generation 2 exited with code 1 while starting/)
      await service.event('newProcessFailed')
      expect(await ask(port)).toEqual({ pid, generation: 1 })
      // The first failure makes what is made once.
      if (attempt === 0) before = descriptors(Number(pid)).size
    }
    await until(() => descriptors(Number(pid)).size <= before, `more than ${before} descriptors are left`)
    expect(zombies(Number(pid))).toEqual([])
    expect(service.processes().map((process) => process.pid)).toEqual([pid])
    await service.end(Number(pid))
  })

  it('and a shutdown that came too late to stop the restart reaches it', async () => {
    const path = join(temporaryDirectory(), 'notify.sock')
    // Hears READY and MAINPID; the barrier lies in its queue until it is told to go on.
    const manager = spawn('perl', ['-e', SLOW_MANAGER, path], { stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void manager.kill())
    const heard = new Output()
    heard.follow(manager.stdout)
    await heard.line(/^bound$/)

    const env = { NOTIFY_SOCKET: path, NODE_DEBUG: 'shellflip' }
    const { service, program } = deployed((path) => replaceByFixture(path, 'counts-as-the-crate.mjs'), env)
    await service.event('ready')
    replaceByProgram(program, rust)
    const restart = service.cli('restart', ['--json'])
    const { port } = await rustListening(service)
    const pid = await rustPid(port)
    await heard.line(new RegExp(`^MAINPID=${pid} `))
    service.signal('SIGTERM')
    await service.line(/Notifying <- Shutdown/)
    expect(alive(pid)).toBe(true)
    manager.stdin.end('go on\n')
    expect(await restart).toMatchObject({ code: 0 })
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.gone(pid)
  })
})
