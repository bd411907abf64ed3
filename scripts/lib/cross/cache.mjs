// Where everything is kept that cross-compiling needs and makes.
import { join, resolve } from 'node:path'
import { targetDir } from '../platform.mjs'
import { root } from '../run.mjs'

/** Beside the build, so that whoever throws one away throws both away. */
export const cache = join(resolve(root, targetDir), 'cross')
