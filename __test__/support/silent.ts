/** A coordination socket that hears every question and answers none, and the command that asks it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { onTestFinished } from 'vitest'

/** How a command ended: exit code or signal. */
export type Ending = [code: number | null, signal: NodeJS.Signals | null]

/** Listens on `socket` until the test ends. */
export async function silentService(socket: string): Promise<net.Server> {
  const server = net.createServer()
  const connections = new Set<net.Socket>()
  server.on('connection', (connection) => {
    connections.add(connection)
    connection.on('error', () => {}).on('close', () => connections.delete(connection))
    connection.once('data', () => server.emit('question'))
  })
  onTestFinished(() => {
    server.close()
    for (const connection of connections) connection.destroy()
  })
  server.listen(socket)
  await once(server, 'listening')
  return server
}

/** Runs `file restart` against that service; resolves once it has asked. It is killed when the test ends. */
export async function ask(server: net.Server, file: string, env: NodeJS.ProcessEnv = {}) {
  const command: ChildProcess = spawn(file, ['restart', '--socket', String(server.address())], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise<Ending>((resolve, reject) => {
    command.on('exit', (code, signal) => resolve([code, signal]))
    command.on('error', reject)
  })
  onTestFinished(() => void command.kill('SIGKILL'))
  await Promise.race([
    once(server, 'question'),
    ended.then((how) => Promise.reject(new Error(`${file} ended before it asked anything: ${how}`))),
  ])
  return { pid: command.pid ?? 0, ended }
}
