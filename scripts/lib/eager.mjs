// Puts the modules that an import of the package loads into one file: Node takes longer to find and open a small file
// than to run it. What they load by require(), when it is wanted, stays in files of its own.
//
// The file is made twice, dist/index.js for require() and dist/node.mjs for import: Node's loader of CommonJS, which a
// program of ES modules may never have used, takes longer than all the rest of an import; so even `import 'node:module'` is
// left for later. Whichever of the two files comes first runs; the other one gives what that has made, so that whoever
// imports and whoever requires share one service.
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import { root } from './run.mjs'

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** Where the instance is kept: a second copy of this version, wherever it lies, is the same one. */
const INSTANCE = `globalThis[Symbol.for('@shellflip/node ${version}')]`
/** Where an instance keeps its modules for the other files. Not enumerable, so that it is no name of the package's. */
const DOOR = "Symbol.for('@shellflip/node')"

/**
 * Writes both, and makes each of the modules in them a file that leads there: nobody gets a second instance. Gives the
 * path of the one that tsc has not written.
 */
export async function bundleEager() {
  const { metafile } = await bundle({ entryPoints: ['src/index.ts'] })
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
  const stdin = { contents, resolveDir: join(root, 'src'), sourcefile: 'modules' }
  const [{ text }] = (await bundle({ stdin })).outputFiles
  // Node's own modules are had sooner without a loader, where that is possible: Node 21 and the first of 22 cannot.
  const body = text.replaceAll('require("node:', 'builtin("node:')
  writeFileSync(join(root, 'dist/index.js'), forRequire(body, names))
  const path = join(root, 'dist/node.mjs')
  writeFileSync(path, forImport(body, names))
  return path
}

const instanceOf = (body) => `(${INSTANCE} ??= ((module) => {\n${body}return module.exports\n})({}))`

// The last line is for whoever imports this file, and reads the names off before it runs.
const forRequire = (body, names) => `"use strict"
const builtin = process.getBuiltinModule ?? ((id) => require(id))
module.exports = ${instanceOf(body)}
0 && (module.exports = { ${names.join(', ')} })
`

// `import.meta` has a price, too, and is for later.
const forImport = (body, names) => `const builtin = process.getBuiltinModule
let loader
const files = () => (loader ??= builtin('node:module').createRequire(import.meta.url))
const require = Object.assign((id) => files()(id), { resolve: (id) => files().resolve(id) })
export const { ${names.join(', ')} } = ${instanceOf(body.replaceAll('__dirname', 'import.meta.dirname'))}
`

const leadingTo = (name) => `"use strict"
// It is in index.js and node.mjs, with all else that every import loads.
module.exports = (${INSTANCE} ?? require('./index'))[${DOOR}]['${name}']
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
    write: false,
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
