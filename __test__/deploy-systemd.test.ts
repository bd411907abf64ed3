/** The units of docs/deploy/systemd.md, hardening included, as they stand there, but for where Node is. */
import { appendFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { blocks } from './support/readme'
import { CHECKOUT, NODE, Systemd, type Version } from './support/systemd'

const DOCUMENT = 'docs/deploy/systemd.md'

/** The unit of that name, for the sandbox: Node is elsewhere, and so is what `env node` finds. */
function unit(name: string): string {
  const block = blocks(DOCUMENT).find(({ text }) => text.startsWith(`# ${name}\n`))
  if (block === undefined) throw new Error(`${DOCUMENT} has no block that begins with # ${name}`)
  return block.text.replaceAll('/usr/bin/node', NODE)
}

/** A release as a deployment makes it, in a folder of its own: the server of the README, and its package. */
function release(systemd: Systemd, name: string): void {
  const folder = join(systemd.state, 'releases', name)
  mkdirSync(join(folder, 'node_modules/@shellflip'), { recursive: true })
  mkdirSync(join(folder, 'node_modules/.bin'))
  symlinkSync(CHECKOUT, join(folder, 'node_modules/@shellflip/node'))
  symlinkSync(join(CHECKOUT, 'dist/cli.js'), join(folder, 'node_modules/.bin/shellflip'))
  const program = blocks().find(({ text }) => text.startsWith('// server.mjs\n'))?.text ?? ''
  writeFileSync(join(folder, 'server.mjs'), program.replace('generation ', `release ${name}, generation `))
}

/** Switches /srv/app/current, as a deployment does. */
async function deploy(systemd: Systemd, name: string): Promise<void> {
  release(systemd, name)
  const from = `/run/test/releases/${name}`
  const script = `mkdir -p /srv/app && cp -a ${from} /srv/app/${name} && ln -sfn ${name} /srv/app/current`
  expect(await systemd.inside('bash', '-c', script)).toMatchObject({ code: 0, stderr: '' })
}

async function ask(systemd: Systemd): Promise<string> {
  const code = `fetch('http://127.0.0.1:3000/').then((response) => response.text()).then(console.log)`
  const { stdout, stderr } = await systemd.inside(NODE, '-e', code)
  return stdout.trim() || stderr
}

async function install(systemd: Systemd): Promise<void> {
  await deploy(systemd, 'one')
  const file = join(systemd.state, 'units/app.service')
  writeFileSync(file, unit('app.service'))
  appendFileSync(file, '[Service]\nEnvironment=PATH=/srv:/usr/bin:/bin\n')
}

it.each<Version>(['own', '257'])(
  'systemd %s: app.service starts, follows `current` on reload, and stops',
  async (version) => {
    const systemd = await Systemd.boot(version)
    await install(systemd)
    await systemd.do('start', 'app.service')
    expect(await ask(systemd)).toBe('release one, generation 1')
    expect(await systemd.show('DynamicUser')).toBe('yes')
    await deploy(systemd, 'two')
    await systemd.do('reload', 'app.service')
    expect(await ask(systemd)).toBe('release two, generation 2')
    await systemd.do('stop', 'app.service')
    expect(await systemd.show('Result')).toBe('success')
    expect(await systemd.journal()).not.toMatch(/warning|not our child/i)
  },
)

it('systemd 257: with notify-reload.conf it is reloaded by a signal', async () => {
  const systemd = await Systemd.boot('257')
  await install(systemd)
  mkdirSync(join(systemd.state, 'units/app.service.d'))
  writeFileSync(join(systemd.state, 'units/app.service.d/notify-reload.conf'), unit('notify-reload.conf'))
  await systemd.do('start', 'app.service')
  await deploy(systemd, 'two')
  await systemd.do('reload', 'app.service')
  expect(await ask(systemd)).toBe('release two, generation 2')
})
