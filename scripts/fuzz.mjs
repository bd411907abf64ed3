// npm run fuzz [-- --seconds N] [-- target…]: everything that reads what another process wrote, fed with damaged bytes for
// N seconds each (default 60), and how many inputs that were. Where a C++ compiler is missing the Rust targets cannot be
// built; `PROPTEST_CASES=100000 cargo test fuzz` feeds them without coverage.
import { existsSync, mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { build } from './build.mjs'
import { fuzzLiveSocket, fuzzState } from './lib/fuzz.mjs'
import { hostTarget, targetDir } from './lib/platform.mjs'
import { CommandFailed, fail, must, root, run } from './lib/run.mjs'

// Coverage as libFuzzer wants it, with what stable Rust offers.
const COVERAGE = [
  '--cfg=fuzzing',
  '-Cpasses=sancov-module',
  ...['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'].map(
    (option) => `-Cllvm-args=-sanitizer-coverage-${option}`,
  ),
]

/** What is fed, by name: each resolves with the number of inputs. */
const targets = {
  frames: (seconds) => native('frames', seconds),
  channel: (seconds) => native('channel', seconds),
  environment: (seconds) => native('environment', seconds),
  launcher: (seconds) => native('launcher', seconds),
  state: fuzzState,
  socket: fuzzLiveSocket,
}

async function buildNativeTargets() {
  await must('cargo', ['build', '--release', '--locked', '--bins', '--manifest-path', 'crates/fuzz/Cargo.toml'], {
    env: {
      CARGO_ENCODED_RUSTFLAGS: COVERAGE.join('\x1f'),
      CARGO_TARGET_DIR: `${targetDir}/fuzz`,
      // Flags are for the target only: build scripts run uninstrumented.
      CARGO_BUILD_TARGET: await hostTarget(),
    },
  })
}

/** The corpus is kept in cargo's target folder: the next run begins where this one ended. */
async function native(name, seconds) {
  const corpus = `${targetDir}/fuzz/corpus/${name}`
  const found = `${targetDir}/fuzz/found/`
  for (const folder of [corpus, found]) mkdirSync(folder, { recursive: true })
  const program = `${targetDir}/fuzz/${await hostTarget()}/release/${name}`
  const words = `-dict=${root}/crates/fuzz/words/${name}`
  const options = [`-max_total_time=${seconds}`, `-artifact_prefix=${found}${name}-`, words, '-print_final_stats=1']
  const { code, output } = await run(program, [...options, corpus], { quiet: true })
  if (code !== 0) throw new CommandFailed(`${output}\n${name}: an input that breaks it is in ${found}`)
  return Number(/number_of_executed_units:\s*(\d+)/.exec(output)?.[1])
}

async function fuzz() {
  const options = { seconds: { type: 'string', default: '60' } }
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  const seconds = Number(values.seconds)
  const chosen = positionals.length > 0 ? positionals : Object.keys(targets)
  const unknown = chosen.find((name) => targets[name] === undefined)
  if (!(seconds > 0) || unknown !== undefined) {
    throw new CommandFailed(`usage: npm run fuzz -- [--seconds N] [${Object.keys(targets).join('|')}]…`)
  }
  if (chosen.some((name) => existsSync(`${root}/crates/fuzz/src/bin/${name}.rs`))) await buildNativeTargets()
  if (chosen.includes('state') || chosen.includes('socket')) await build()
  for (const name of chosen) {
    console.log(`${name}: ${(await targets[name](seconds)).toLocaleString('en')} inputs in ${seconds} s, none broke it`)
  }
}

await fuzz().catch(fail)
