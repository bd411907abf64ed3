/** A service that is started with real descriptors beyond the first three, and what its parent keeps of them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { expect, onTestFinished } from 'vitest'
import { temporaryDirectory } from './directory'
import { Output } from './output'
import { gone } from './processes'
import { root } from './run'

/** A pipe with a name; both ends are kept open by the test, so that nobody ever sees its end. */
export class Fifo {
  readonly reading: number
  readonly writing: number

  constructor() {
    const path = join(temporaryDirectory(), 'fifo')
    execFileSync('mkfifo', [path])
    this.reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    this.writing = openSync(path, constants.O_WRONLY)
    onTestFinished(() => {
      closeSync(this.reading)
      closeSync(this.writing)
    })
  }

  write(text: string): void {
    writeSync(this.writing, text)
  }

  /** What nobody has read yet, and is read now; empty if nothing is there. */
  take(): string {
    const buffer = Buffer.alloc(4096)
    try {
      return buffer.toString('utf8', 0, readSync(this.reading, buffer))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return ''
      throw error
    }
  }
}

/** A listening unix socket that answers every client with `parent`. */
export async function parentListener(): Promise<{ fd: number; path: string }> {
  const path = join(temporaryDirectory(), 'parent.sock')
  const server = net.createServer((socket) => socket.end('parent'))
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(() => void server.close())
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle
  return { fd, path }
}

/** What whoever listens there says. */
export function answerOf(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    net
      .connect(path)
      .on('data', (data) => (said += data))
      .on('end', () => resolve(said))
      .on('error', reject)
  })
}

export interface Inherited {
  child: ChildProcess
  output: Output
  /** The parent's ends of those given as 'pipe', which are connected unix sockets. */
  ends: Map<number, Duplex>
  /** The descriptors as they were given, by number. */
  inodes: (bigint | number | null)[]
}

/**
 * Starts a fixture by a shell that sets `variables`, in which `$$` is the service's own pid. `given` become descriptors
 * 3, 4, …
 */
export function startWith(program: string, variables: string, given: (number | 'pipe')[]): Inherited {
  const directory = temporaryDirectory()
  const watched = given.map((_, index) => index + 3)
  const clean = Object.entries(process.env).filter(
    ([name]) => !/^(SHELLFLIP_|OXY_|LISTEN_|NODE_|VITEST|XDG_)/.test(name),
  )
  const child = spawn(
    'sh',
    ['-c', `${variables} exec "$0" "$1"`, process.execPath, join(root, '__test__/fixtures', program)],
    {
      cwd: directory,
      env: {
        ...Object.fromEntries(clean),
        TMPDIR: directory,
        SHELLFLIP_SOCKET: join(directory, 'service.sock'),
        WATCHED: JSON.stringify(watched),
      },
      stdio: ['ignore', 'pipe', 'pipe', ...given],
    },
  )
  const output = new Output()
  for (const stream of [child.stdout, child.stderr]) if (stream) output.follow(stream)
  const ends = new Map<number, Duplex>()
  for (const fd of watched) {
    const end = child.stdio[fd] as Duplex | undefined
    if (end)
      ends.set(
        fd,
        end.on('error', () => {}),
      )
  }
  onTestFinished(async () => {
    child.kill('SIGKILL')
    if (child.pid !== undefined) await gone(child.pid)
    for (const end of ends.values()) end.destroy()
  })
  const inodes = given.map((fd) => (typeof fd === 'number' ? fstatSync(fd).ino : null))
  return { child, output, ends, inodes }
}

/** The next event of that name that the fixture said. */
export function event(service: Inherited, name: string): Promise<Record<string, unknown>> {
  const said = (line: string) =>
    line.startsWith('{') && JSON.parse(line).event === name ? JSON.parse(line) : undefined
  return service.output.take(said, `with the event '${name}'`)
}

/** Ends it by SIGTERM, and asserts that it ends well. */
export async function endOf({ child, output }: Inherited): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])))
  child.kill('SIGTERM')
  expect(await ended, output.text()).toEqual([0, null])
}
