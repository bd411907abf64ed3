/** A service whose program file is replaced by one of the other kind: the crate's own example, and ours. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { expectUnchanged, footprintAtRest } from './support/footprint'
import { get } from './support/http'
import { Output } from './support/output'
import { alive } from './support/processes'
import { replaceByFixture, replaceByProgram, replaceByScript } from './support/programs'
import { blocks, project } from './support/readme'
import { BUILD_DEADLINE_MS, restarter } from './support/restarter'
import { deployed, rustHello, rustListening, rustPid } from './support/rust-service'
import { start } from './support/spawn'

/** Node has no unix datagram sockets; perl is part of every Debian. */
const SLOW_MANAGER = `
  use Socket; $| = 1;
  socket(S, AF_UNIX, SOCK_DGRAM, 0) or die $!; bind(S, pack_sockaddr_un($ARGV[0])) or die $!; print "bound\\n";
  sub hear { recv(S, $m, 65536, 0) // die $!; $m =~ s/\\n/ /g; print "$m\\n" }
  do { hear() } until $m =~ /MAINPID/; <STDIN>; while (1) { hear() }`

/** As systemd does with a .socket unit: the program inherits a listening socket as descriptor 3, and its name. */
const SOCKET_UNIT = `
  use Socket; $| = 1; $^F = 9;
  socket(S, PF_INET, SOCK_STREAM, 0) && bind(S, pack_sockaddr_in(0, INADDR_LOOPBACK)) && listen(S, 128) or die $!;
  fileno(S) == 3 or die; printf "activated %d\\n", (unpack_sockaddr_in(getsockname(S)))[0];
  @ENV{qw(LISTEN_PID LISTEN_FDS LISTEN_FDNAMES)} = ($$, 1, 'web'); exec @ARGV or die $!`

let rust = ''
beforeAll(async () => {
  rust = await restarter()
}, BUILD_DEADLINE_MS)

const ask = async (port: unknown) => JSON.parse((await get({ port: Number(port) }, '/')).body)

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

  it("with the service manager's sockets, so that no client is refused", async () => {
    const { service, program } = deployed((path) => replaceByProgram(path, rust), {}, ['perl', '-e', SOCKET_UNIT])
    const [, port] = await service.line(/^activated (\d+)$/)
    await rustListening(service)
    // The example does not accept there: this one waits in the queue.
    const waiting = ask(port)
    replaceByFixture(program, 'counts-as-the-crate.mjs')
    const second = await service.restart()
    expect(await waiting).toEqual({ pid: second.pid, generation: 2 })
    const third = await service.restart()
    expect(await ask(port)).toEqual({ pid: third.pid, generation: 3 })
    await service.gone(second.pid)
    await service.end(third.pid)
    expect(service.output.text()).not.toMatch(/LISTEN_|OXY_/)
  })

  it('also if the old one dies meanwhile', async () => {
    const { service, program } = deployed((path) => replaceByProgram(path, rust))
    await rustListening(service)
    replaceByFixture(program, 'ready-when-told.mjs')
    const restart = service.cli('restart')
    const { pid, port } = await service.event('listening')
    service.signal('SIGKILL')
    expect((await restart).code).toBe(5)
    writeFileSync(join(service.directory, 'go'), '')
    expect(await service.event('ready')).toMatchObject({ pid, generation: 2 })
    expect(await ask(port)).toEqual({ pid, generation: 2 })
    const next = await service.restart()
    expect(next.generation).toBe(3)
    await service.end(next.pid)
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
    const before = await footprintAtRest(service)
    for (let attempt = 0; attempt < 3; attempt++) {
      const { code, stdout } = await service.cli('restart', ['--json'])
      expect(code).toBe(1)
      const failure = JSON.parse(stdout)
      expect(failure).toMatchObject({ ok: false, code: 'ERR_SHELLFLIP_GENERATION_EXITED' })
      expect(failure.message).toMatch(/^generation 2 exited with code 1 while starting/)
      await service.event('newProcessFailed')
      await expectUnchanged(service, before)
      expect(await ask(port)).toEqual({ pid, generation: 1 })
    }
    await service.end(Number(pid))
  })

  it('or is no service at all: it is ended after readyTimeoutMs', async () => {
    const env = { READY_TIMEOUT_MS: '1000' }
    const { service, program } = deployed((path) => replaceByFixture(path, 'counts-as-the-crate.mjs'), env)
    const { pid, port } = await service.event('ready')
    replaceByScript(program, 'exec sleep 600')
    const { code, stdout } = await service.cli('restart', ['--json'])
    expect(code).toBe(1)
    const message = 'generation 2 was not ready within 1000 ms: it has not called shellflip() yet'
    expect(JSON.parse(stdout)).toEqual({ ok: false, code: 'ERR_SHELLFLIP_READY_TIMEOUT', message })
    expect(await ask(port)).toEqual({ pid, generation: 1 })
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

describe('docs/interop.md', () => {
  const document = 'docs/interop.md'

  it('its program and its script take over from a Rust service, and give it back', async () => {
    const directory = project('counter.mjs', document)
    const program = join(directory, 'service')
    const here = (text: string) => text.replaceAll('/srv/', `${directory}/`)
    const counter = join(directory, 'counter.mjs')
    writeFileSync(counter, here(readFileSync(counter, 'utf8')))
    const script = blocks(document).find(({ language }) => language === 'sh')?.text ?? ''
    const PATH = `${dirname(process.execPath)}:${process.env.PATH}`

    replaceByProgram(program, rust)
    const args = ['--socket', join(directory, 'service.sock')]
    const service = start(null, { file: program, args, directory, env: { PATH } })
    await rustListening(service)
    writeFileSync(`${program}.next`, here(script))
    chmodSync(`${program}.next`, 0o755)
    renameSync(`${program}.next`, program)
    const { pid } = await service.restart()
    const { listeners } = JSON.parse((await service.cli('status', ['--json'])).stdout)
    expect((await get({ port: listeners[0].address.port })).body).toBe('1 restarts\n')
    replaceByProgram(program, rust)
    expect((await service.cli('restart')).code).toBe(0)
    expect((await rustListening(service)).restarts).toBe(2)
    await service.gone(pid)
  })

  it('has no other block', () => {
    expect(blocks(document).map(({ language }) => language)).toEqual(['sh', 'js'])
  })
})
