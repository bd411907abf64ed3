/** A service whose program file can be replaced, and the crate's example as one of the programs that may lie there. */
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import { temporaryDirectory } from './directory'
import { type Service, start } from './spawn'

export interface Deployed {
  service: Service
  /** The path of its program. */
  program: string
}

/**
 * Starts the program that `put` lays at the path it is given, with `--socket P` as the crate's example wants it. A fixture
 * finds the path in $PROGRAM. `unit`: a command that starts it, in the same process.
 */
export function deployed(put: (path: string) => void, env: NodeJS.ProcessEnv = {}, unit: string[] = []): Deployed {
  const directory = temporaryDirectory()
  const program = join(directory, 'service')
  put(program)
  const [file = '', ...args] = [...unit, program, '--socket', join(directory, 'service.sock')]
  const service = start(null, { file, args, directory, env: { PROGRAM: program, RUST_LOG: 'info', ...env } })
  return { service, program }
}

/** Waits for the line by which the Rust service says that it listens. */
export async function rustListening(service: Service): Promise<{ restarts: number; port: number }> {
  const [, restarts, port] = await service.line(/^Instance no\. (\d+) listening on 127\.0\.0\.1:(\d+)$/)
  return { restarts: Number(restarts), port: Number(port) }
}

/** A connection to the Rust service, whose greeting names its process; the connection stays open. */
export async function rustHello(port: number): Promise<{ pid: number; socket: net.Socket }> {
  const socket = net.connect(port, '127.0.0.1')
  const [data] = await once(socket, 'data')
  const pid = Number(/^Hello, this is process (\d+)\n$/.exec(String(data))?.[1])
  return { pid, socket }
}

/** The process that answers on that port. */
export async function rustPid(port: number): Promise<number> {
  const { pid, socket } = await rustHello(port)
  socket.destroy()
  return pid
}
