/** The public items of the Rust crate, read from the sources that cargo has built with. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root, run } from './run'

/** The crate's version, and its public items in the words of docs/crate-api.md, by module; '' is the root. */
export async function crateItems(): Promise<{ version: string; modules: Map<string, string[]> }> {
  const [, host = ''] = /^host: (.+)$/m.exec((await run('rustc', ['-vV'])).stdout) ?? []
  // Of other platforms' dependencies nothing may be here.
  const { stdout, stderr } = await run(
    'cargo',
    ['metadata', '--format-version', '1', '--locked', '--offline', '--filter-platform', host],
    { deadlineMs: 60_000 },
  )
  const found = JSON.parse(stdout || '{"packages":[]}').packages.find(
    ({ name }: { name: string }) => name === 'shellflip',
  )
  if (found === undefined) throw new Error(`cargo metadata does not know the crate shellflip: ${stderr} (in ${root})`)
  const sources = join(dirname(found.manifest_path), 'src')
  const read = (name: string) => readFileSync(join(sources, `${name}.rs`), 'utf8')
  const modules = new Map([['', itemsOf(read('lib'))]])
  for (const [, name = ''] of read('lib').matchAll(/^pub mod (\w+);$/gm)) modules.set(name, itemsOf(read(name)))
  return { version: found.version, modules }
}

/** The public items of one file that rustfmt has formatted: what is at the margin, and one level inside. */
export function itemsOf(source: string): string[] {
  const [code = ''] = source.split('#[cfg(test)]\nmod ')
  const types = new Set([...code.matchAll(/^pub (?:struct|enum|trait) (\w+)/gm)].map(([, name]) => name))
  const items: string[] = []
  let inside = ''
  let member: RegExp | null = null
  for (const line of code.split('\n')) {
    const top = /^pub (?:async )?(?:unsafe )?(fn|struct|enum|trait|type|mod|const|static) (\w+)/.exec(line)
    const implementation = /^impl(?:<.*?>)? (?:(.+) for )?(\w+)/.exec(line)
    if (top !== null) {
      const [, kind = '', name = ''] = top
      items.push(name)
      inside = name
      member = MEMBERS[kind] ?? null
    } else if (implementation !== null) {
      const [, trait, name = ''] = implementation
      inside = name
      member = trait === undefined && types.has(name) ? /^ {4}pub (?:async )?(?:unsafe )?(?:fn|const) (\w+)/ : null
      if (trait !== undefined && types.has(name)) items.push(`impl ${trait} for ${name}`)
    } else if (/^\S/.test(line)) {
      if (/^}/.test(line)) member = null
    } else {
      const found = member?.exec(line)
      if (found) items.push(`${inside}::${found[1]}`)
    }
  }
  return items
}

const MEMBERS: Record<string, RegExp> = {
  struct: /^ {4}pub (\w+):/,
  enum: /^ {4}([A-Z]\w*)/,
  trait: /^ {4}(?:async )?(?:fn|type|const) (\w+)/,
}
