// npm run build: the addon, the native programs and the TypeScript, complete in dist/ and in this platform's package.
import { installDependencies } from './lib/dependencies.mjs'
import { buildNative, placeNative } from './lib/native.mjs'
import { fail, root } from './lib/run.mjs'
import { buildTypeScript } from './lib/typescript.mjs'

/** Builds everything. Each tool skips what is current; nothing else is skipped. */
export async function build() {
  await installDependencies()
  const target = await buildNative()
  await buildTypeScript()
  placeNative(target)
}

if (process.argv[1] === `${root}/scripts/build.mjs`) await build().catch(fail)
