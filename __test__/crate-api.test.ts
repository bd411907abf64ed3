/** docs/crate-api.md: that no public item of the crate is left out, and that what it shows works. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { crateItems, itemsOf } from './support/crate'
import { RawClient } from './support/raw-client'
import { blocks, program, project } from './support/readme'
import { node, root, run, shellflip } from './support/run'
import { type Service, start } from './support/spawn'

const file = 'docs/crate-api.md'
const text = readFileSync(join(root, file), 'utf8')

/** The rows below each heading `### \`shellflip::…\``: Rust's name, ours. */
function rows(): Map<string, [string, string][]> {
  const sections = text.split(/^### `shellflip(?:::)?/m).slice(1)
  return new Map(
    sections.map((section) => [
      /^\w*/.exec(section)?.[0] ?? '',
      [...section.matchAll(/^\| `(.+?)` \| (.+?) \| /gm)].map(([, rust = '', ours = '']) => [rust, ours]),
    ]),
  )
}

describe('the table', () => {
  it('has every public item of the crate, once, and no other', async () => {
    const { version, modules } = await crateItems()
    expect(text).toContain(`${version}, what it is here`)
    expect([...modules.keys()]).toEqual(['', 'lifecycle', 'restart_coordination_socket', 'shutdown'])
    const documented = rows()
    for (const [module, items] of modules) {
      const named = (documented.get(module) ?? []).map(([rust]) => rust)
      expect(named.sort(), module).toEqual(items.sort())
    }
  })

  it('names only what the package has', async () => {
    const exported = Object.entries(await import('@shellflip/node'))
    const declarations = ['restart-init', 'restart-task', 'types', 'errors', 'shellflip'].map((name) =>
      readFileSync(join(root, 'dist', `${name}.d.ts`), 'utf8'),
    )
    const known = new Set(exported.map(([name]) => name))
    for (const [, value] of exported) {
      if (typeof value !== 'function') continue
      for (const of of [value, value.prototype ?? {}])
        for (const name of Object.getOwnPropertyNames(of)) known.add(name)
    }
    const codes = [...declarations.join('\n').matchAll(/ERR_SHELLFLIP_(\w+)/g)].map(([, code = '']) => code)
    const isDeclared = (name: string) => declarations.some((types) => new RegExp(`\\b${name}\\b`).test(types))
    for (const [rust, ours] of [...rows().values()].flat()) {
      for (const [, name = ''] of ours.matchAll(/\b([A-Z]{2,}(?:_[A-Z]+)+)\b/g)) expect(codes, rust).toContain(name)
      for (const [, code = ''] of ours.matchAll(/`(.+?)`/g)) {
        const names = code.replace(/\(.*|^new /g, '').split('.')
        const last = names.at(-1) ?? ''
        expect(known.has(last) || isDeclared(last) || last in globalThis, `${rust}: ${code}`).toBe(true)
      }
    }
  })

  it('would miss nothing: the reader of Rust sees fields, variants, methods and implementations', () => {
    const source = `pub mod inner;
mod hidden;
pub struct A<T> {
    /// A field.
    pub field: T,
    hidden: u32,
}
impl<T> A<T> {
    pub async fn method(&self) {}
    pub(crate) fn hidden(&self) {}
    fn private() {}
}
impl Default for A<u32> {
    fn default() -> Self {}
}
struct Hidden;
impl Hidden {
    pub fn not_public() {}
}
pub enum E {
    #[error("x")]
    One,
    Two(u32),
}
pub trait T: Send {
    async fn hook(&mut self) {}
}
pub type R = u32;
pub fn function() {
    let pub_inside = 1;
}
#[cfg(test)]
mod tests {
    pub fn test() {}
}
`
    const items = ['inner', 'A', 'A::field', 'A::method', 'impl Default for A', 'E', 'E::One', 'E::Two', 'T', 'T::hook']
    expect(itemsOf(source)).toEqual([...items, 'R', 'function'])
  })

  it('links to files that exist', () => {
    const links = [...text.matchAll(/\]\((?!https:)([^)#]+)\)/g)].map(([, link]) => String(link))
    expect(links.filter((link) => !existsSync(join(root, 'docs', link)))).toEqual([])
  })
})

describe('its programs', () => {
  /** The service of a program that has its own idea of the socket's name. */
  function launch(name: string): Service {
    const directory = project(name, file)
    return start(join(directory, name), { directory })
  }

  const cli = (service: Service, socket: string, ...command: string[]) =>
    run(shellflip, [...command, '--socket', join(service.directory, socket)])

  async function status(service: Service, socket: string) {
    const { code, stdout } = await cli(service, socket, 'status', '--json')
    return code === 0 ? JSON.parse(stdout) : undefined
  }

  async function ready(service: Service, socket: string) {
    for (;;) {
      const said = await status(service, socket)
      if (said?.phase === 'ready') return said
      expect(service.processes().length, `the program ended:\n${service.output.text()}`).toBeGreaterThan(0)
    }
  }

  it('are all tested here', () => {
    const first = blocks(file).map(({ text }) => text.split('\n', 1)[0])
    expect(first).toEqual(['// worker.mjs', '// restart-worker.mjs', '// echo.mjs'])
    expect(blocks(file).every(({ language }) => language === 'js')).toBe(true)
  })

  it('worker.mjs goes on counting in the process that restart-worker.mjs has asked for', async () => {
    const service = launch('worker.mjs')
    const restart = join(service.directory, 'restart-worker.mjs')
    writeFileSync(restart, program('restart-worker.mjs', file))
    await ready(service, 'worker.sock')
    let jobs = -1
    for (let generation = 2; generation <= 3; generation++) {
      const { code, stdout, stderr } = await node([restart], { cwd: service.directory })
      expect(code, stderr).toBe(0)
      const pid = Number(/^process (\d+) is ready\n$/.exec(stdout)?.[1])
      const [, done] = await service.line(new RegExp(`^process ${pid} goes on after (\\d+) jobs$`))
      expect(Number(done)).toBeGreaterThanOrEqual(jobs)
      jobs = Number(done)
      expect(await status(service, 'worker.sock')).toMatchObject({ pid, generation })
    }
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    expect((await cli(service, 'worker.sock', 'stop')).code).toBe(0)
    await service.line(/^no restart is possible any more: /)
    await service.clean()
  })

  it('echo.mjs listens on the same port after a restart, and the old process keeps its client', async () => {
    const service = launch('echo.mjs')
    const { listeners } = await ready(service, 'echo.sock')
    const { port } = listeners[0].address
    const client = await RawClient.connect({ port })
    await client.write('one').until(/^one$/)
    const { code, stdout } = await cli(service, 'echo.sock', 'restart', '--json')
    expect(code, stdout).toBe(0)
    const other = await RawClient.connect({ port })
    await other.write('new').until(/^new$/)
    await client.write(' two').until(/^one two$/)
    client.socket.end()
    expect(await service.firstExit).toEqual({ code: 0, signal: null })
    other.socket.end()
    await service.kill()
  })
})
