// Writes the package of each platform under npm/. `npm test` fails if what is committed differs.
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { installDependencies } from './lib/dependencies.mjs'
import { entries, fail, mustLocal, root } from './lib/run.mjs'

/** Lets napi make the folders, then adds to each package.json what napi does not know of. */
export async function writeNpmDirs() {
  const main = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
  await mustLocal(entries.napi, ['create-npm-dirs', '--npm-dir', 'npm'], { quiet: true })
  for (const platform of readdirSync(`${root}/npm`)) {
    const folder = `${root}/npm/${platform}`
    const path = `${folder}/package.json`
    const made = JSON.parse(readFileSync(path, 'utf8'))
    // A folder that napi no longer writes belongs to a target that was taken out.
    if (made.version !== main.version) {
      rmSync(folder, { recursive: true })
      continue
    }
    const manifest = {
      ...made,
      type: 'commonjs',
      description: `The native part of @shellflip/node for ${platform}`,
      files: [made.main, 'shellflip', 'shellflip-launcher'],
    }
    writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`)
    copyFileSync(`${root}/LICENSE`, `${folder}/LICENSE`)
    writeFileSync(
      `${folder}/README.md`,
      `# ${made.name}\n\nThe native part of [@shellflip/node](https://www.npmjs.com/package/@shellflip/node) for ${platform}. Install that package, not this one.\n`,
    )
  }
}

if (process.argv[1] === `${root}/scripts/npm-dirs.mjs`) await installDependencies().then(writeNpmDirs).catch(fail)
