/** A service in Python under `shellflip run`: it says over NOTIFY_SOCKET what the test makes it say. */
import { root, shellflip } from './run'
import { type Service, type StartOptions, start } from './spawn'

/** Lets a Python program import `datagrams`. */
export const PYTHON = { PYTHONPATH: `${root}/__test__/support`, PYTHONDONTWRITEBYTECODE: '1' }

export interface Speaking extends StartOptions {
  /** Of `run`. */
  options?: string[]
  /** Default: the one in PATH. */
  python?: string
}

export function speaking(program: string, { options = [], python = 'python3', ...more }: Speaking = {}): Service {
  const text = `import os, signal, subprocess, time\nfrom datagrams import barrier, say, send\n${program}\n`
  const execArgv = ['run', ...options, '--', python, '-c', text]
  return start(null, { file: shellflip, ...more, execArgv, env: { ...PYTHON, ...more.env } })
}
