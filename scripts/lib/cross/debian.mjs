// Debian packages, unpacked into folders of their own: nothing is installed, and the machine's apt is not touched.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommandFailed, must } from '../run.mjs'
import { cache } from './cache.mjs'

/**
 * Unpacks packages, without what they depend on, into one folder, and resolves with its path. Done once: a folder that
 * is there is complete.
 *
 * @param {string} name what the folder is called
 * @param {string[] | (() => Promise<string[]>)} packages names as apt takes them, for example `libc6:arm64`
 * @param {string} [suite] a release of Debian; default: this machine's
 */
export async function unpacked(name, packages, suite) {
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  const apt = await configuration(suite)
  const downloads = `${folder}.downloads`
  const unfinished = `${folder}.unfinished`
  for (const made of [downloads, unfinished]) {
    rmSync(made, { recursive: true, force: true })
    mkdirSync(made, { recursive: true })
  }
  const names = typeof packages === 'function' ? await packages() : packages
  console.log(`unpacking ${names.join(', ')}`)
  await must('apt-get', [...apt, 'download', '-q', ...names], { cwd: downloads, quiet: true })
  for (const file of readdirSync(downloads)) await must('dpkg-deb', ['-x', join(downloads, file), unfinished])
  rmSync(downloads, { recursive: true })
  renameSync(unfinished, folder)
  return folder
}

/** The names of what a package of this machine's release depends on. @param {string} name */
export async function dependencies(name) {
  const output = await must('apt-cache', [...(await configuration()), 'depends', name], { quiet: true })
  return [...output.matchAll(/^ +Depends: (\S+)$/gm)].map(([, depended]) => depended)
}

/** Options that give apt lists, a status and an architecture list of its own, current as of this run. */
const configurations = new Map()
function configuration(suite = 'this machine') {
  if (!configurations.has(suite)) configurations.set(suite, configure(suite))
  return configurations.get(suite)
}

async function configure(suite) {
  const folder = join(cache, 'apt', suite.replaceAll(' ', '-'))
  for (const part of ['lists/partial', 'archives/partial']) mkdirSync(join(folder, part), { recursive: true })
  writeFileSync(join(folder, 'status'), '')
  writeFileSync(join(folder, 'sources.list'), await sources(suite))
  const settings = {
    'Dir::Etc::SourceList': join(folder, 'sources.list'),
    'Dir::Etc::SourceParts': '-',
    'Dir::State': folder,
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::State::Status': join(folder, 'status'),
    'Dir::Cache': folder,
    'Dir::Cache::Archives': join(folder, 'archives'),
    // Without privileges it could not write where we are; as root it would only warn.
    'APT::Sandbox::User': 'root',
    'APT::Update::Post-Invoke': '',
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  options.push('-o', 'APT::Architectures::=amd64', '-o', 'APT::Architectures::=arm64')
  await must('apt-get', [...options, 'update', '-q'], { quiet: true })
  return options
}

/** Where this machine gets Debian's packages from; for another release, the same place. */
async function sources(suite) {
  const format = '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)'
  const output = await must('apt-get', ['indextargets', '--format', format], { quiet: true })
  const lines = [...new Set(output.split('\n'))]
    .map((line) => line.split('|'))
    .filter(([origin]) => origin === 'Debian')
  const places = lines.map(([, place, release, component]) => ({ place, release, component }))
  if (places.length === 0) {
    throw new CommandFailed('this needs a Debian system whose package lists are there: run `apt-get update`')
  }
  const wanted =
    suite === 'this machine' ? places : [{ ...places.find(({ release }) => !release.includes('-')), release: suite }]
  return wanted.map(({ place, release, component }) => `deb ${place} ${release} ${component}\n`).join('')
}
