/**
 * An old generation made by hand, for what no build of ours would say: it starts a fixture as its next generation and
 * speaks the channel to it, frame by frame (crates/core/src/message.rs).
 */
import { spawn } from 'node:child_process'
import { constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from './directory'
import { Output } from './output'
import { root, run } from './run'

/** The frames of the channel, by their numbers. */
export const FRAMES = { hello: 1, given: 3, commit: 4, serving: 5, adopted: 6, failing: 8, shutdown: 9, letGo: 11 }

/** A frame that came; its body as text. */
export interface Frame {
  kind: number
  body: string
}

/** Starts `fixture` as generation 2 of this process; `version` is what SHELLFLIP_CHANNEL names. */
export async function startNext(fixture: string, version: number): Promise<OldGeneration> {
  const directory = temporaryDirectory()
  const pipe = join(directory, 'ready')
  const made = await run('mkfifo', [pipe])
  if (made.code !== 0) throw new Error(made.stderr)
  return new OldGeneration(directory, pipe, fixture, version)
}

export class OldGeneration {
  readonly output = new Output()
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Every byte of the readiness pipe, as a line once the new generation closes it. */
  readonly ready: Promise<string>
  readonly pid: number
  /** Path of the new generation's coordination socket. */
  readonly socket: string
  readonly #channel: Duplex
  readonly #frames = new Output()

  constructor(directory: string, pipe: string, fixture: string, version: number) {
    this.socket = join(directory, 'service.sock')
    // Opened to read without waiting for a writer; the new generation's end then opens at once.
    const reading = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
    const child = spawn(
      'sh',
      [
        '-c',
        `SHELLFLIP_CHANNEL=${version}:4:$$ exec "$0" "$1" 3>"$2"`,
        ...[process.execPath, join(root, '__test__/fixtures', fixture), pipe],
      ],
      {
        cwd: directory,
        env: {
          PATH: process.env.PATH,
          SHELLFLIP_SOCKET: this.socket,
          OXY_NOTIFY_SOCKET: '3',
          SHELLFLIP_GENERATION: '2',
        },
        stdio: ['ignore', 'pipe', 'pipe', 'ignore', 'pipe'],
      },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    this.pid = child.pid ?? 0
    for (const stream of [child.stdout, child.stderr]) if (stream) this.output.follow(stream)
    this.exit = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })))
    this.ready = new Promise((resolve) => {
      new Socket({ fd: reading, writable: false }).setEncoding('latin1').once('data', (byte) => resolve(String(byte)))
    })
    this.#channel = child.stdio[4] as Duplex
    // Nothing is written after its end but by mistake.
    this.#channel.on('error', () => {})
    this.#read()
  }

  /** Says hello, with these versions and features, and that no listener follows. */
  greet(oldest: number, newest: number, features: string[] = []): void {
    const hello = { version: newest, min: oldest, features, pid: process.pid, generation: 1, aLaterField: [true] }
    this.send(FRAMES.hello, JSON.stringify(hello))
    this.send(FRAMES.given)
  }

  /** Makes it the one that answers for the service; resolves once it serves. */
  async adopt(): Promise<void> {
    await this.ready
    this.send(FRAMES.commit)
    await this.frame(FRAMES.serving)
    this.send(FRAMES.adopted)
    await this.output.line(/^\{"event":"ready".*$/)
  }

  /** Sends one frame, of any kind; `length` is what its header says of the body. */
  send(kind: number, body = '', length = Buffer.byteLength(body)): void {
    const header = Buffer.alloc(6)
    header.writeUInt32BE(length)
    header[4] = kind
    this.#channel.write(Buffer.concat([header, Buffer.from(body)]))
  }

  /** The next frame of that kind. */
  frame(kind: number): Promise<Frame> {
    const what = `that is a frame of kind ${kind}; the output was:\n${this.output.text()}`
    return this.#frames.take((line) => {
      const frame = JSON.parse(line) as Frame
      return frame.kind === kind ? frame : undefined
    }, what)
  }

  async #read(): Promise<void> {
    let bytes = Buffer.alloc(0)
    for await (const chunk of this.#channel) {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 6 && bytes.length >= 6 + bytes.readUInt32BE()) {
        const end = 6 + bytes.readUInt32BE()
        this.#frames.add(JSON.stringify({ kind: bytes[4], body: bytes.toString('utf8', 6, end) }))
        bytes = bytes.subarray(end)
      }
    }
  }
}
