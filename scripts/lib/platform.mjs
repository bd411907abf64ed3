// Names of this machine's platform, as Rust and as napi-rs spell it.
import { must, root } from './run.mjs'

/** This machine's Rust target, for example x86_64-unknown-linux-gnu. */
export async function hostTarget() {
  const output = await must('rustc', ['-vV'], { quiet: true })
  const host = /^host: (\S+)$/m.exec(output)?.[1]
  if (!host) throw new Error('rustc -vV names no host: is this a working Rust installation?')
  return host
}

/** This machine's platform as the package of npm/ is called, for example linux-x64-gnu; musl by Node's own libc. */
export function hostPlatform() {
  const { platform, arch } = process
  if (platform !== 'linux') return `${platform}-${arch}`
  const musl = process.report.getReport().header.glibcVersionRuntime === undefined
  return `linux-${arch}-${musl ? 'musl' : 'gnu'}`
}

/** Cargo's target folder. */
export const targetDir = process.env.CARGO_TARGET_DIR ?? `${root}/target`
