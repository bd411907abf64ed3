/** A service whose next generation is faulty: each way to ask for a restart fails, leaves nothing, and one day succeeds. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { expectUnchanged, type Footprint, footprintAtRest } from './footprint'
import { get } from './http'
import { alive } from './processes'
import { type Restarted, type Said, type Service, type StartOptions, start } from './spawn'

/** What whoever asked is to be told. */
export interface Failure {
  /** Without `ERR_SHELLFLIP_`. */
  code: string
  /** Of the whole message. */
  message: RegExp
  /** A pattern where it is a matter of timing. */
  phase: string | RegExp
  exitCode?: number
  signal?: string
  /** It depends on the runtime how that ends. */
  anyEnd?: boolean
  /**
   * False: no process was started. Default true: the failure names it, and it is gone. 'maybe': the restart may fail
   * before anything is heard of the process.
   */
  process?: boolean | 'maybe'
}

/** The first generation of a service, and what it held before anything went wrong. */
export class Faulty {
  readonly service: Service
  readonly port: number
  readonly before: Footprint

  private constructor(service: Service, port: number, before: Footprint) {
    this.service = service
    this.port = port
    this.before = before
  }

  /** Starts a fixture that uses `serve()`; resolves once it serves. */
  static async start(program: string | null, options: StartOptions = {}): Promise<Faulty> {
    const service = start(program, options)
    const { port } = await service.event('ready', 20_000)
    const faulty = new Faulty(service, Number(port), await footprintAtRest(service))
    await faulty.serves(service.pid, 1)
    return faulty
  }

  /** Asks by the command line and by restart(), and asserts after each that the service is as it was. */
  async fails(failure: Failure): Promise<void> {
    const said = await this.failsByCommand(failure)
    const rejected = await this.failsByCall(failure)
    const { event: _, pid: __, about: ___, message: ____, ...rest } = said
    expect(rejected).toMatchObject(rest)
  }

  /** Asks by the command line. Resolves with the event that the application heard. */
  async failsByCommand(failure: Failure): Promise<Said> {
    const { code, stdout, stderr } = await this.service.cli('restart')
    expect({ code, stdout }, stderr + this.service.output.text()).toEqual({ code: 1, stdout: '' })
    const said = await this.heard(failure)
    expect(stderr).toBe(`shellflip: not restarted, the service goes on: ${said.message} (${said.code})\n`)
    await this.unharmed()
    return said
  }

  /** Calls restart(). Resolves with what the promise was rejected with. */
  async failsByCall(failure: Failure): Promise<Record<string, unknown>> {
    const rejected = JSON.parse((await get({ port: this.port }, '/restart')).body)
    const { event: _, pid: __, ...said } = await this.heard(failure)
    expect(rejected).toEqual(said)
    await this.unharmed()
    return rejected
  }

  /** The 'restartFailed' event, which the fixture has said. */
  async heard(failure: Failure): Promise<Said> {
    const said = await this.service.event('failed', 20_000)
    const { code, message, phase, exitCode, signal, anyEnd = false, process = true } = failure
    const name = 'ShellflipError'
    expect(said).toMatchObject({ name, code: `ERR_SHELLFLIP_${code}`, pid: this.service.pid })
    expect(said.phase).toEqual(typeof phase === 'string' ? phase : expect.stringMatching(phase))
    expect(said).toMatchObject({ message: expect.stringMatching(message) as string })
    if (!anyEnd) expect({ exitCode: said.exitCode, signal: said.signal }).toEqual({ exitCode, signal })
    if (process === false) expect(said.about).toBeUndefined()
    // Its pid is known from its fork on, the event tells that its program runs: a failure between the two names it only.
    const event = `{"event":"restarting","pid":${said.pid},"about":${said.about}}`
    const announced = this.service.output.lines.includes(event)
    if (process === true || announced) expect(said.about).toBe((await this.service.event('restarting')).about)
    if (said.about !== undefined) expect(alive(Number(said.about)), 'the new generation lives').toBe(false)
    return said
  }

  /** Asserts that the old generation serves, and holds what it held. */
  async unharmed(): Promise<void> {
    await this.serves(this.service.pid, 1)
    await expectUnchanged(this.service, this.before)
  }

  /** Asserts who answers. */
  async serves(pid: number, generation: number): Promise<void> {
    expect(JSON.parse((await get({ port: this.port })).body)).toEqual({ pid, generation })
  }

  /** Takes the fault away: the next restart succeeds, and the service ends clean. */
  async recovers(): Promise<void> {
    writeFileSync(join(this.service.directory, 'mended'), '')
    await this.succeeds()
  }

  /** Restarts well, and ends the service. */
  async succeeds(): Promise<Restarted> {
    const { service } = this
    const restarted = await service.restart()
    await this.serves(restarted.pid, 2)
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    await service.end(restarted.pid)
    return restarted
  }
}

/** The whole of it: a fault, whoever asks, and the restart after it. */
export async function survives(program: string | null, failure: Failure, options: StartOptions = {}): Promise<void> {
  const faulty = await Faulty.start(program, options)
  await faulty.fails(failure)
  await faulty.recovers()
}
