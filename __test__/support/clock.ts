/** A wall clock that jumps while a service runs, by libfaketime; monotonic clocks go on as they are. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './directory'

const LIBRARY = 'faketime/libfaketime.so.1'

/** The clock of every process that is started with this environment. */
export interface Clock {
  env: NodeJS.ProcessEnv
  /** Sets it to so much before or after the real time, such as `+5h` or `-5h`. */
  jump(by: string): void
  /** Removes what the library shares between processes, of which the first one was that; only if killed it leaves it. */
  forget(pid: number): void
}

/** A clock that shows the real time. Throws where libfaketime is not installed. */
export function clock(): Clock {
  const file = join(temporaryDirectory(), 'clock')
  const jump = (by: string) => writeFileSync(file, `${by}\n`)
  jump('+0')
  const env = {
    LD_PRELOAD: library(),
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    NO_FAKE_STAT: '1',
  }
  const forget = (pid: number) => {
    for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`])
      rmSync(join('/dev/shm', name), { force: true })
  }
  return { env, jump, forget }
}

function library(): string {
  const folders = [
    '/usr/lib',
    ...readdirSync('/usr/lib').map((name) => `/usr/lib/${name}`),
    '/usr/lib64',
    '/usr/local/lib',
  ]
  const found = folders.map((folder) => join(folder, LIBRARY)).find((path) => existsSync(path))
  if (found === undefined) throw new Error('libfaketime is not installed: apt-get install libfaketime, as .ci/run does')
  return found
}
