// Every code block of the README runs.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { get } from './support/http'
import { until } from './support/processes'
import { blocks, project } from './support/readme'
import { root, run } from './support/run'
import { type Service, start } from './support/spawn'

/** Starts that program and waits until its service is ready. */
async function launch(name: string): Promise<Service> {
  const directory = project(name)
  const service = start(`${directory}/${name}`, { directory })
  await ready(service)
  return service
}

async function status(service: Service) {
  const { code, stdout } = await service.cli('status', ['--json'])
  return code === 0 ? JSON.parse(stdout) : undefined
}

/** The programs of the README print nothing when they are ready: ask until they are. */
async function ready(service: Service): Promise<void> {
  let phase: unknown
  while (phase !== 'ready') {
    await until(
      () => service.processes().length > 0,
      () => `the program ended:\n${service.output.text()}`,
    )
    phase = (await status(service))?.phase
  }
}

async function page(service: Service): Promise<string> {
  const [{ address }] = (await status(service)).listeners
  return (await get({ port: address.port })).body
}

test('no block is left out', () => {
  const programs = blocks().filter(({ language }) => language === 'js')
  expect(programs.map(({ text }) => text.split('\n', 1)[0])).toEqual([
    '// server.mjs',
    '// visits.mjs',
    '// fastify.mjs',
  ])
  expect(blocks().length - programs.length, 'blocks that are not JavaScript: one of shell commands').toBe(1)
})

test.each(['server.mjs', 'fastify.mjs'])('%s serves, and goes on serving after a restart', async (name) => {
  const service = await launch(name)
  expect(await page(service)).toBe('generation 1\n')
  const { pid } = await service.restart()
  expect(await page(service)).toBe('generation 2\n')
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.end(pid)
})

test('visits.mjs counts on after a restart', async () => {
  const service = await launch('visits.mjs')
  expect(await page(service)).toBe('1 visits, generation 1\n')
  const { pid } = await service.restart()
  expect(await page(service)).toBe('2 visits, generation 2\n')
  await service.line(/^drained/)
  await service.end(pid)
})

test('the shell commands do and print what stands beside them', async () => {
  const [commands] = blocks().filter(({ language }) => language === 'sh')
  const [first, ...rest] = commands?.text.trimEnd().split('\n') ?? []
  expect(first).toBe('node server.mjs &')
  const service = await launch('server.mjs')
  for (const line of rest) {
    const [command = '', comment] = line.split(/ {2}# /)
    const { code, stdout, stderr } = await run('sh', ['-c', command], {
      cwd: service.directory,
      env: { SHELLFLIP_SOCKET: service.socket, npm_config_offline: 'true' },
    })
    expect(stderr.replaceAll(/^npm warn .*\n/gm, ''), line).toBe('')
    expect(code, line).toBe(0)
    if (comment !== undefined) expect(stdout).toMatch(new RegExp(`^${escaped(comment).replaceAll(/\d+/g, '\\d+')}\n$`))
  }
  await service.clean()
})

test('the files it links to exist', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const links = [...readme.matchAll(/\]\((?!https:)([^)#]+)\)/g)].map(([, link]) => String(link))
  expect(links.filter((link) => !existsSync(join(root, link)))).toEqual([])
})

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
