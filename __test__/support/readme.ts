/** The code blocks of the README, and of other documents. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './directory'
import { root } from './run'

/** One fenced block. */
export interface Block {
  language: string
  text: string
}

/** Every fenced block of that file, in order. */
export function blocks(file = 'README.md'): Block[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({ language, text }))
}

/** The program of that name: the block whose first line is `// name`. Port 3000 becomes any free port. */
export function program(name: string, file = 'README.md'): string {
  const block = blocks(file).find(({ text }) => text.startsWith(`// ${name}\n`))
  if (block === undefined) throw new Error(`${file} has no block that begins with // ${name}`)
  return block.text.replaceAll('3000', '0')
}

/** A folder in which the package, its command and all frameworks are installed, holding that program. */
export function project(name: string, file = 'README.md'): string {
  const directory = temporaryDirectory()
  const modules = join(directory, 'node_modules')
  mkdirSync(join(modules, '@shellflip'), { recursive: true })
  mkdirSync(join(modules, '.bin'))
  symlinkSync(root, join(modules, '@shellflip', 'node'))
  symlinkSync(join(root, 'dist', 'cli.js'), join(modules, '.bin', 'shellflip'))
  for (const framework of ['fastify', 'express'])
    symlinkSync(join(root, 'node_modules', framework), join(modules, framework))
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n')
  writeFileSync(join(directory, name), program(name, file))
  return directory
}
