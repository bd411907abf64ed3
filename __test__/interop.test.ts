/** The crate's own example beside our service: the client of either restarts both. */
import { beforeAll, describe, expect, it } from 'vitest'
import { get } from './support/http'
import { replaceByProgram, replaceByScript } from './support/programs'
import { BUILD_DEADLINE_MS, restarter } from './support/restarter'
import { type Outcome, run } from './support/run'
import { deployed, rustListening, rustPid } from './support/rust-service'
import { type Service, start } from './support/spawn'

let rust = ''
beforeAll(async () => {
  rust = await restarter()
}, BUILD_DEADLINE_MS)

/** The crate's client, which says by its log how it went. */
function rustRestart(service: Service): Promise<Outcome> {
  return run(rust, ['--socket', service.socket, 'restart'], { env: { RUST_LOG: 'info' } })
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
