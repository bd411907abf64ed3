/**
 * What Node has read from the files of `--env-file`. What is in the environment already is not read from them, so that the
 * next generation must not be given it: it reads the files again, and finds what a deploy has changed.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import type { Recorded } from './recorded'

/**
 * The variables that came from the files of this start, with their values; empty if there are no such files. To be
 * called early: the files may be others later. `given` is the environment that the process was started with, as KEY=value.
 */
export function readFromFiles(
  { execArgv, cwd }: Pick<Recorded, 'execArgv' | 'cwd'>,
  given: () => readonly string[] = environmentGiven,
): Map<string, string> {
  const found = new Map<string, string>()
  const files = filesIn(execArgv)
  if (files.length === 0) return found
  // The last file wins.
  for (const file of files) {
    for (const [name, value] of Object.entries(parse(resolve(cwd ?? '/', file)))) found.set(name, value)
  }
  for (const each of given()) found.delete(each.slice(0, each.indexOf('=')))
  return found
}

function filesIn(execArgv: readonly string[]): string[] {
  return execArgv.flatMap((arg, i) => {
    const match = /^--env-file(?:-if-exists)?(?:=(.*))?$/s.exec(arg)
    const file = match?.[1] ?? execArgv[i + 1]
    return match === null || file === undefined ? [] : [file]
  })
}

/** Nothing, if the file is not there (`--env-file-if-exists`) or may not be read. */
function parse(file: string): Record<string, string> {
  try {
    return parseEnv(readFileSync(file, 'utf8')) as Record<string, string>
  } catch {
    return {}
  }
}

/** Nothing, where the kernel does not tell. */
function environmentGiven(): string[] {
  try {
    return readFileSync('/proc/self/environ', 'utf8').split('\0')
  } catch {
    return []
  }
}
