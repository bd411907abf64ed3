// npm run cross [-- PLATFORM...]: compiles the packages of all platforms, or of those named, on this machine, and checks
// each file. What that needs is kept in target/cross; docs/platforms.md says what is tested where.
import { compile } from './lib/cross/compile.mjs'
import { inspectPackage } from './lib/cross/inspect.mjs'
import { chosen } from './lib/cross/platforms.mjs'
import { installDependencies } from './lib/dependencies.mjs'
import { fail } from './lib/run.mjs'

async function cross(names) {
  await installDependencies()
  for (const platform of chosen(names)) {
    console.log(`--- ${platform.name}`)
    await compile(platform)
    await inspectPackage(platform)
  }
}

await cross(process.argv.slice(2)).catch(fail)
