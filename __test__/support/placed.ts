/** The package and its platform package laid into a folder by hand, as npm would, to be damaged there. */
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { platformFolder } from './install'
import { root } from './run'

/** Where `placePackage` put things. */
export interface Placed {
  /** The JavaScript of the main package. */
  dist: string
  /** The platform package. */
  native: string
  /** The addon in it. */
  addon: string
}

/** Lays both packages into `folder`/node_modules; tests take away what shall be missing. */
export function placePackage(folder: string): Placed {
  const main = join(folder, 'node_modules/@shellflip/node')
  const platform = platformFolder()
  const native = join(folder, 'node_modules/@shellflip', `node-${basename(platform)}`)
  mkdirSync(main, { recursive: true })
  cpSync(join(root, 'package.json'), join(main, 'package.json'))
  const programs = /\/native\/(shellflip|shellflip-launcher|[^/]*\.node)$/
  cpSync(join(root, 'dist'), join(main, 'dist'), { recursive: true, filter: (path) => !programs.test(path) })
  cpSync(platform, native, { recursive: true })
  const addon = join(native, JSON.parse(readFileSync(join(native, 'package.json'), 'utf8')).main)
  if (!existsSync(addon)) throw new Error(`${addon} is not there: build first`)
  return { dist: join(main, 'dist'), native, addon }
}
