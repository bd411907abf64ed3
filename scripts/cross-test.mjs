// npm run cross:test [-- PLATFORM...]: installs the packages that lie under npm/ and restarts a service of each under
// load, by a Node of that platform, wherever this machine can run one. A platform that is named must be run. Needs
// `npm run build` first, for dist/, and then `npm run cross`.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runner } from './lib/cross/emulate.mjs'
import { inspectPackage } from './lib/cross/inspect.mjs'
import { chosen } from './lib/cross/platforms.mjs'
import { programs } from './lib/native.mjs'
import { CommandFailed, fail, must, root } from './lib/run.mjs'

async function crossTest(names) {
  if (!existsSync(join(root, 'dist/native/binding.cjs'))) throw new CommandFailed('run `npm run build` first')
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'shellflip-cross-'))
  try {
    for (const platform of chosen(names)) {
      console.log(`--- ${platform.name}`)
      const found = await runner(platform)
      if (typeof found !== 'string') await restartOn(platform, found, join(folder, platform.name))
      else if (names.length === 0) console.log(found)
      else throw new CommandFailed(`${platform.name}: ${found}`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function restartOn(platform, { on, node, emulated }, folder) {
  await inspectPackage(platform)
  console.log(`on ${on}`)
  await install(platform, folder)
  const { code } = await node(folder, 'try.mjs', platform.name, ...(emulated ? ['emulated'] : []))
  if (code !== 0) throw new CommandFailed(`${platform.name}: the restart failed`)
}

/** A project with the package installed, the example service and the load. */
async function install({ name }, folder) {
  mkdirSync(folder)
  const bin = { shellflip: 'node_modules/@shellflip/node/dist/cli.js' }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'tried', private: true, bin }))
  // Artifacts of a workflow lose their x bit on the way.
  for (const { file } of programs) chmodSync(join(root, 'npm', name, file), 0o755)
  for (const part of [root, join(root, 'npm', name)]) {
    await must('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: part, quiet: true })
  }
  const tarballs = readdirSync(folder).filter((file) => file.endsWith('.tgz'))
  // npm judges a platform by the Node that runs npm, which is this machine's.
  const options = ['--force', '--offline', '--no-audit', '--no-fund', '--loglevel=error']
  await must('npm', ['install', ...options, ...tarballs], { cwd: folder, quiet: true })
  cpSync(join(root, 'examples'), join(folder, 'examples'), { recursive: true })
  cpSync(join(root, '__test__/support/load'), join(folder, '__test__/support/load'), { recursive: true })
  cpSync(join(root, 'scripts/lib/cross/try.mjs'), join(folder, 'try.mjs'))
}

await crossTest(process.argv.slice(2)).catch(fail)
