/** Service managers at the other end of NOTIFY_SOCKET: one that is silent, and one that listens. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from './directory'
import { Output } from './output'
import { root } from './run'

/** Node has no unix datagram sockets; perl is part of every Debian. What nobody receives keeps its descriptors open. */
const SILENT = `
  use Socket; $| = 1;
  socket(S, AF_UNIX, SOCK_DGRAM, 0) or die $!; bind(S, pack_sockaddr_un($ARGV[0])) or die $!; print "bound\n";
  sleep`

/** One that takes what it is sent and never answers: its barrier stays closed for ever. Resolves with a path for
 * $NOTIFY_SOCKET. It is ended with the test. */
export async function silentManager(): Promise<string> {
  const path = join(temporaryDirectory(), 'notify.sock')
  const manager = spawn('perl', ['-e', SILENT, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void manager.kill())
  const output = new Output()
  output.follow(manager.stdout)
  await output.line(/^bound$/)
  return path
}

/** What a service manager was told in one message. */
export interface Message {
  text: string
  /** Who sent it, by the kernel's word. */
  pid: number
  /** Of the descriptors that came with it. */
  inodes: number[]
}

/** A service manager that hears everything, and answers barriers. */
export class ListeningManager {
  readonly #output = new Output()

  private constructor(
    /** For $NOTIFY_SOCKET. */
    readonly path: string,
  ) {}

  static async start(): Promise<ListeningManager> {
    const manager = new ListeningManager(join(temporaryDirectory(), 'notify.sock'))
    const program = join(root, '__test__/support/heard.py')
    const child = spawn('python3', [program, manager.path], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill())
    manager.#output.follow(child.stdout)
    await manager.#output.line(/^bound$/)
    return manager
  }

  /** Resolves with the first message that matches and that nobody took. */
  hears(pattern: RegExp): Promise<Message> {
    const parsed = (line: string) => {
      const message = line.startsWith('{') ? (JSON.parse(line) as Message) : undefined
      return message && pattern.test(message.text) ? message : undefined
    }
    return this.#output.take(parsed, String(pattern))
  }

  /** All so far. */
  heard(): Message[] {
    return this.#output.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
  }
}
