// The fuzz targets that need JavaScript: the decoder of a handed-over state, and the coordination socket of a service that
// runs.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fuzzSocket } from '../../__test__/support/socket-fuzzer.mjs'
import { fuzzDecoder } from '../../__test__/support/state-fuzzer.mjs'
import { must, root } from './run.mjs'

const { decodeState, encodeState } = createRequire(import.meta.url)(`${root}/dist/state.js`)

/** Damaged states, for so many seconds. */
export function fuzzState(seconds) {
  const end = performance.now() + seconds * 1000
  let executions = 0
  for (let seed = 1; performance.now() < end; seed++) {
    executions += fuzzDecoder({ decodeState, encodeState }, seed, 1000)
  }
  return executions
}

/** Damaged questions to a real service; then a real restart has to succeed. */
export async function fuzzLiveSocket(seconds) {
  const directory = mkdtempSync(join(tmpdir(), 'sf-'))
  const socket = join(directory, 'service.sock')
  const service = spawn(process.execPath, [`${root}/__test__/fixtures/serves.mjs`], {
    env: { ...process.env, SHELLFLIP_SOCKET: socket },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    for await (const said of service.stdout.iterator({ destroyOnReturn: false })) {
      if (`${said}`.includes('"ready"')) break
    }
    service.stdout.resume()
    const fuzzer = fuzzSocket(socket, { seed: Date.now() })
    await pause(seconds * 1000)
    const command = `${root}/dist/native/shellflip`
    await must(command, ['restart', '--socket', socket], { quiet: true })
    const executions = await fuzzer.stop()
    await must(command, ['stop', '--socket', socket], { quiet: true })
    return executions
  } finally {
    if (service.exitCode === null && service.signalCode === null && service.kill('SIGKILL')) await once(service, 'exit')
    rmSync(directory, { recursive: true })
  }
}
