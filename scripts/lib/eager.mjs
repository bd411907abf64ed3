// Puts the modules that an import of the package loads into one file, dist/index.js: Node takes longer to find and open a
// small file than to run it. What they load by require(), when it is wanted, stays in files of its own.
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import { root } from './run.mjs'

/** Where dist/index.js keeps its modules for the other files. Not enumerable, so that it is no name of the package's. */
const DOOR = "Symbol.for('@shellflip/node')"

/** Replaces dist/index.js, and makes each of the modules in it a file that leads there: nobody gets a second instance. */
export async function bundleEager() {
  const { metafile } = await bundle({ entryPoints: ['src/index.ts'], write: false })
  const paths = Object.keys(metafile.inputs).filter((path) => path !== 'src/index.ts')
  const exported = await exportsOf(paths)
  const imports = []
  const modules = []
  for (const [path, names] of exported) {
    const name = basename(path, '.ts')
    const local = (each) => `${each}_of_${modules.length}`
    imports.push(`import { ${names.map((each) => `${each} as ${local(each)}`).join(', ')} } from './${name}'`)
    modules.push(`'${name}': { ${names.map((each) => `${each}: ${local(each)}`).join(', ')} }`)
    writeFileSync(join(root, 'dist', `${name}.js`), leadingTo(name))
  }
  const [[, names]] = await exportsOf(['src/index.ts'])
  const contents = `
    import { ${names.join(', ')} } from './index'
    ${imports.join('\n')}
    module.exports = { ${names.join(', ')} }
    let modules
    Object.defineProperties(module.exports, {
      __esModule: { value: true },
      [${DOOR}]: { get: () => (modules ??= { ${modules.join(', ')} }) },
    })`
  await bundle({ stdin: { contents, resolveDir: join(root, 'src'), sourcefile: 'modules' }, outfile: 'dist/index.js' })
}

const leadingTo = (name) => `"use strict"
// It is in index.js, with all else that every import loads.
module.exports = require('./index')[${DOOR}]['${name}']
`

/** The names that each of these modules exports. */
async function exportsOf(paths) {
  const { metafile } = await build({
    ...{ absWorkingDir: root, entryPoints: paths, outdir: 'dist', write: false, metafile: true, format: 'esm' },
    logLevel: 'error',
  })
  return Object.values(metafile.outputs).map(({ entryPoint, exports }) => [entryPoint, exports])
}

/** @param {import('esbuild').BuildOptions} options */
function bundle(options) {
  return build({
    ...{ absWorkingDir: root, bundle: true, platform: 'node', format: 'cjs', target: 'es2023', metafile: true },
    // ES modules are strict, and esbuild does not say so where none is left.
    banner: { js: '"use strict"' },
    logOverride: { 'commonjs-variable-in-esm': 'silent' },
    plugins: [lazily],
    ...options,
  })
}

/** @type {import('esbuild').Plugin} */
const lazily = {
  name: 'require() is for later',
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ kind, path }) => (kind === 'require-call' ? { path, external: true } : undefined))
  },
}
