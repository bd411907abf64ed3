// npm run release -- FOLDER: puts the packages together from what the builders left in FOLDER, one folder per platform, and
// packs them into target/release-tarballs. What is put together stays in target/release-packages: the main package at its
// top, the others under npm/.
// npm run release -- --publish FOLDER: sends the tarballs in FOLDER to the registry, with provenance. Installs nothing.
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { platforms } from './lib/cross/platforms.mjs'
import { installDependencies } from './lib/dependencies.mjs'
import { programs } from './lib/native.mjs'
import { targetDir } from './lib/platform.mjs'
import { CommandFailed, entries, fail, must, mustLocal, root, run } from './lib/run.mjs'

const stage = join(resolve(root, targetDir), 'release-packages')
const tarballs = join(resolve(root, targetDir), 'release-tarballs')
const { name: main, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Every package, the main one last: whoever can install it finds the others. */
const packages = [
  ...platforms.map(({ name }) => ({ name: `${main}-${name}`, folder: join(stage, 'npm', name) })),
  { name: main, folder: stage },
]

async function release(args) {
  const { values, positionals } = parseArgs({ args, options: { publish: { type: 'boolean' } }, allowPositionals: true })
  const [folder] = positionals
  if (folder === undefined)
    throw new CommandFailed('npm run release -- FOLDER, then npm run release -- --publish FOLDER')
  if (values.publish) await publish(resolve(folder))
  else await pack(resolve(folder))
}

async function pack(artifacts) {
  await installDependencies()
  await assemble(artifacts)
  rmSync(tarballs, { recursive: true, force: true })
  mkdirSync(tarballs)
  const folders = packages.map(({ folder }) => folder)
  await must('npm', ['pack', '--pack-destination', tarballs, '--loglevel=error', ...folders])
}

/** Copies what belongs to the packages, and lets napi add the addons and the names of the platform packages. */
async function assemble(artifacts) {
  rmSync(stage, { recursive: true, force: true })
  mkdirSync(stage, { recursive: true })
  for (const part of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'dist', 'npm']) {
    if (!existsSync(join(root, part))) throw new CommandFailed(`${part} is missing: run \`npm run build\` first`)
    cpSync(join(root, part), join(stage, part), { recursive: true, filter: (path) => !isNative(path) })
  }
  const napi = (command, ...options) =>
    mustLocal(entries.napi, [command, '--cwd', stage, '--npm-dir', 'npm', ...options], { quiet: true })
  await napi('artifacts', '--output-dir', artifacts)
  for (const { name } of platforms) {
    for (const { file } of programs) {
      const from = join(artifacts, name, file)
      if (!existsSync(from)) throw new CommandFailed(`${from} is missing: \`npm run cross -- ${name}\` makes it`)
      copyFileSync(from, join(stage, 'npm', name, file))
      // Artifacts of a workflow lose their x bit on the way.
      chmodSync(join(stage, 'npm', name, file), 0o755)
    }
  }
  await napi('pre-publish', '--tag-style', 'npm', '--no-gh-release', '--skip-optional-publish')
}

// What was built on this machine is not what is published.
const isNative = (path) => path.endsWith('.node') || programs.some(({ file }) => path.endsWith(`/${file}`))

/** A release that broke off is continued by running it again. */
async function publish(folder) {
  const tag = process.env.GITHUB_REF_NAME
  if (tag !== `v${version}`) throw new CommandFailed(`the tag is ${tag}, but the version ${version}`)
  // As npm pack names it.
  const tarballOf = (name) => join(folder, `${name.slice(1).replace('/', '-')}-${version}.tgz`)
  const missing = packages.map(({ name }) => tarballOf(name)).filter((path) => !existsSync(path))
  if (missing.length > 0) throw new CommandFailed(`nothing was published, for want of ${missing.join(', ')}`)
  // A trial version is installed by those who ask for it.
  const options = ['--provenance', '--access', 'public', '--tag', version.includes('-') ? 'next' : 'latest']
  for (const { name } of packages) {
    const { code } = await run('npm', ['view', `${name}@${version}`, 'version', '--json'], { quiet: true })
    if (code === 0) console.log(`${name}@${version} is published already`)
    else await must('npm', ['publish', tarballOf(name), ...options])
  }
}

await release(process.argv.slice(2)).catch(fail)
