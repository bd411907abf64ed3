// Puts all that the command needs into its one file, dist/cli.js.
import { build } from 'esbuild'
import { root } from './run.mjs'

/**
 * Replaces dist/cli.js. What it imports would lead to dist/index.js, which takes out of the environment what a service
 * manager left there; and that is for the program that `shellflip run` starts.
 */
export function bundleCommand() {
  return build({
    ...{ absWorkingDir: root, entryPoints: ['src/cli.ts'], outfile: 'dist/cli.js', logLevel: 'error' },
    ...{ bundle: true, platform: 'node', format: 'cjs', target: 'es2023', external: ['./native/binding.cjs'] },
  })
}
