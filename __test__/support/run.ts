/** Runs a program to its end. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The top folder of the repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

/** The native `shellflip`, as built here. */
export const shellflip = `${root}/dist/native/shellflip`

/** How a program ended and what it said. */
export interface Outcome {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  cwd?: string
  /** Added to this process's environment; undefined takes away. */
  env?: NodeJS.ProcessEnv
  /** Written to its standard input. */
  input?: string
  /** Default 30,000; then it is killed. */
  deadlineMs?: number
}

/** Runs a program; resolves however it ended. Rejects if it cannot be started or outlives its deadline. */
export function run(file: string, args: string[] = [], options: RunOptions = {}): Promise<Outcome> {
  const { cwd = root, env = {}, input = '', deadlineMs = 30_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio: 'pipe' })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    child.stdin.on('error', () => {}).end(input)
    const deadline = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${[file, ...args].join(' ')} ran for more than ${deadlineMs} ms\n${stdout}${stderr}`))
    }, deadlineMs)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(deadline)
      resolve({ code, signal, stdout, stderr })
    })
  })
}

/** As run(), for this very Node. */
export function node(args: string[], options?: RunOptions): Promise<Outcome> {
  return run(process.execPath, args, options)
}
