// npm run release -- FOLDER [--publish]: puts the packages together from what the builders left in FOLDER, one folder per
// platform, and packs them; --publish sends them to the registry, with provenance. What is put together stays in
// target/release-packages: the main package at its top, the others under npm/.
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { platforms } from './lib/cross/platforms.mjs'
import { installDependencies } from './lib/dependencies.mjs'
import { programs } from './lib/native.mjs'
import { targetDir } from './lib/platform.mjs'
import { CommandFailed, entries, fail, must, mustLocal, root, run } from './lib/run.mjs'

const stage = join(resolve(root, targetDir), 'release-packages')
const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

async function release(args) {
  const { values, positionals } = parseArgs({ args, options: { publish: { type: 'boolean' } }, allowPositionals: true })
  const [artifacts] = positionals
  if (artifacts === undefined) throw new CommandFailed('npm run release -- FOLDER [--publish]')
  const { version } = manifestOf(root)
  const tag = process.env.GITHUB_REF_NAME
  if (values.publish && tag !== `v${version}`) throw new CommandFailed(`the tag is ${tag}, but the version ${version}`)
  await installDependencies()
  await assemble(resolve(artifacts))
  // The main package last: whoever installs it finds the others.
  const folders = [...platforms.map(({ name }) => join(stage, 'npm', name)), stage]
  if (!values.publish) await must('npm', ['pack', '--dry-run', '--loglevel=error', ...folders])
  else for (const folder of folders) await publish(folder)
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
  const { name, version } = manifestOf(folder)
  const { code } = await run('npm', ['view', `${name}@${version}`, 'version', '--json'], { quiet: true })
  if (code === 0) console.log(`${name}@${version} is published already`)
  else await must('npm', ['publish', '--provenance', '--access', 'public'], { cwd: folder })
}

await release(process.argv.slice(2)).catch(fail)
