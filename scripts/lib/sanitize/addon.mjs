// The addon under AddressSanitizer inside this very Node: loaded, restarted twice under load, ended. Leaks are not looked
// for: what V8 still holds at the end is no leak of ours (valgrind and `npm run soak` look).
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { startLoad } from '../../../__test__/support/load/load.mjs'
import { Program, temporaryFolder } from '../../../__test__/support/load/program.mjs'
import { target } from '../../../__test__/support/load/target.mjs'
import { ensureBuilt } from '../built.mjs'
import { CommandFailed, must } from '../run.mjs'
import { instrumented, missingRuntime } from './cargo.mjs'

const RESTARTS = 2
const ANSWERS = 50

export async function addon() {
  const cannot = await missingRuntime('asan')
  if (cannot) return { cannot }
  // A library brings no runtime along: Node must have one before it loads the addon. gcc's is shared, and fits.
  const runtime = (await must('gcc', ['-print-file-name=libasan.so'], { quiet: true })).trim()
  if (!existsSync(runtime)) return { cannot: 'there is no libasan.so to preload: install gcc with its sanitizers' }
  await ensureBuilt()
  const { code, directory } = await instrumented('address-addon', '-Zsanitizer=address', [
    'build',
    '--package',
    'shellflip-node',
  ])
  if (code !== 0) throw new CommandFailed('the instrumented addon could not be built: see above')
  const folder = temporaryFolder()
  try {
    const library = join(folder, 'shellflip.node')
    copyFileSync(join(directory, 'libshellflip_node.so'), library)
    return await restart(library, runtime, folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @param {string} library @param {string} runtime @param {string} folder  for the reports */
async function restart(library, runtime, folder) {
  const reports = join(folder, 'reports')
  mkdirSync(reports)
  const env = {
    NAPI_RS_NATIVE_LIBRARY_PATH: library,
    LD_PRELOAD: runtime,
    ASAN_OPTIONS: `detect_leaks=0,log_path=${join(reports, 'asan')}`,
  }
  const service = await Program.start('examples/http.mjs', { env })
  const load = startLoad(target(service.address))
  try {
    for (let restarts = 0, { pid } = service; ; restarts++) {
      await load.answeredBy(pid, ANSWERS)
      instrumentedProcess(pid, library)
      if (restarts === RESTARTS) break
      const outcome = await service.restart()
      if (!outcome.ok) throw new CommandFailed(`a restart failed: ${outcome.code}: ${outcome.message}`)
      pid = outcome.pid
    }
  } finally {
    await load.stop()
    await service.stop()
  }
  const found = readdirSync(reports).map((name) => readFileSync(join(reports, name), 'utf8'))
  if (found.length > 0) throw new CommandFailed(found.join('\n'))
  const { answered, failed, details } = load.counters
  if (failed > 0) throw new CommandFailed(`requests failed: ${JSON.stringify(details)}`)
  return { ran: `the addon in Node ${process.version}, ${RESTARTS} restarts, ${answered} requests` }
}

/** A process that does not run the instrumented addon proves nothing. @param {number} pid @param {string} library */
function instrumentedProcess(pid, library) {
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8')
  if (!maps.includes(library) || !maps.includes('libasan')) throw new Error(`process ${pid} is not instrumented`)
}
