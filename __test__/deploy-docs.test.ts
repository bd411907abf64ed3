/**
 * The files of docs/deploy for containers: read by real parsers, and what they start is started, as PID 1. Those of other
 * supervisors are run in supervisors.test.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DockerfileParser, type JSONInstruction } from 'dockerfile-ast'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { temporaryDirectory } from './support/directory'
import { get } from './support/http'
import { isRoot } from './support/privileges'
import { childOf, until } from './support/processes'
import { blocks } from './support/readme'
import { root, run } from './support/run'
import { type Service, start } from './support/spawn'
import { install, said } from './support/supervisors'

/** The only block in that language, and there is no other in the document. */
function only(file: string, language: string): string {
  const all = blocks(`docs/deploy/${file}`)
  expect(all.map((block) => block.language)).toEqual([language])
  return all[0]?.text ?? ''
}

/** Starts a container's command as PID 1, in a folder where the package is installed. */
async function contained(command: string[], environment: Record<string, string>): Promise<Service> {
  const directory = temporaryDirectory()
  install(directory)
  const service = start(null, {
    file: 'unshare',
    execArgv: ['--pid', '--fork', '--mount-proc', '--kill-child=SIGTERM', ...command],
    directory,
    env: Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, inside(value, directory)])),
  })
  await until(
    () => said(directory, 'ready').length === 1,
    () => service.output.text(),
  )
  return service
}

const inside = (path: string, directory: string): string => path.replace(/^\/tmp\//, `${directory}/`)

/** What `docker exec` and `kubectl exec` do: another process there, with the container's environment. */
function exec(service: Service, command: string[], environment: Record<string, string>) {
  const [file = '', ...args] = command
  const env = Object.entries(environment).map(([name, value]) => [name, inside(value, service.directory)])
  return run(join(service.directory, file), args, { cwd: service.directory, env: Object.fromEntries(env) })
}

/** The command of `docker exec CONTAINER …` or `kubectl exec … -- …` in the text. */
function told(file: string, pattern: RegExp): string[] {
  const [, words = ''] = pattern.exec(readFileSync(join(root, 'docs/deploy', file), 'utf8')) ?? []
  expect(words).toContain('shellflip restart')
  return words.split(' ')
}

/** Restarts it in place, and ends it as the runtime does. */
async function expectRestarts(service: Service, restart: string[], environment: Record<string, string>): Promise<void> {
  const { code, stderr } = await exec(service, restart, environment)
  expect(code, stderr).toBe(0)
  // It serves already, and says so in its own time.
  const ready = () => said(service.directory, 'ready')
  await until(
    () => ready().length === 2,
    () => service.output.text(),
  )
  expect(ready()).toMatchObject([{ supported: true }, { generation: 2 }])
  const first = childOf(service.pid)
  expect(first.command).toMatch(/shellflip run -- node server\.mjs/)
  process.kill(first.pid, 'SIGTERM')
  expect(await service.firstExit).toEqual({ code: 0, signal: null })
  await service.clean()
  // In either order: the old one drains in its own time.
  const drained = said(service.directory, 'drained').toSorted((a, b) => Number(a.generation) - Number(b.generation))
  expect(drained).toMatchObject([
    { generation: 1, cut: 0 },
    { generation: 2, cut: 0 },
  ])
}

describe('docker.md', () => {
  const file = DockerfileParser.parse(only('docker.md', 'dockerfile'))
  const words = (instruction: JSONInstruction | undefined) =>
    instruction?.getJSONStrings().map((string) => JSON.parse(string.getValue())) ?? []
  const environment = Object.fromEntries(
    file.getENVs().flatMap((env) => env.getProperties().map((each) => [each.getName(), each.getValue() ?? ''])),
  )

  it('has two stages, of which the last is no root’s and takes what the first made', () => {
    const stages = file.getFROMs().map((from) => [from.getImage(), from.getBuildStage()])
    expect(stages).toEqual([
      ['node:22-slim', 'build'],
      ['node:22-slim', null],
    ])
    const all = file.getInstructions().map((instruction) => instruction.getKeyword())
    expect(all.filter((keyword) => !KEYWORDS.includes(keyword))).toEqual([])
    expect(
      file
        .getInstructions()
        .find((each) => each.getKeyword() === 'USER')
        ?.getArgumentsContent(),
    ).toBe('node')
    const copies = file.getCOPYs().flatMap((copy) => copy.getFlags().map(String))
    expect(copies).toContain('--from=build')
  })

  it('what it starts is healthy, restarts, and ends', async ({ skip }) => {
    skip(!isRoot, 'needs root')
    const command = [...words(file.getENTRYPOINTs()[0]), ...words(file.getCMDs()[0])]
    const service = await contained(command, environment)
    const [check] = file.getHEALTHCHECKs()
    const health = /CMD (\[.*\])/.exec(check?.getArgumentsContent() ?? '')?.[1] ?? '[]'
    expect((await exec(service, JSON.parse(health), environment)).code).toBe(0)
    await expectRestarts(service, told('docker.md', /`docker exec CONTAINER (.*?)`/), environment)
  })

  it('the health check holds for a blocked event loop, too', async () => {
    const service = start('kills-old-when-adopted.mjs')
    const { port } = await service.event('ready')
    const answer = get({ port: Number(port) }, '/block')
    await service.event('blocked')
    const { code, stdout } = await service.cli('status', ['--json'])
    expect({ code, phase: JSON.parse(stdout).phase }).toEqual({ code: 0, phase: 'blocked' })
    writeFileSync(join(service.directory, 'unblock'), '')
    await answer
    await service.end()
  })
})

const KEYWORDS = ['FROM', 'WORKDIR', 'COPY', 'RUN', 'USER', 'ENV', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD']

describe('kubernetes.md', () => {
  const text = only('kubernetes.md', 'yaml')
  const documents = parseAllDocuments(text, { strict: true })
  const manifest = documents[0]?.toJS()
  const pod = manifest.spec.template.spec
  const [container] = pod.containers

  it('is one sound manifest, whose names fit each other', () => {
    expect(documents).toHaveLength(1)
    for (const { errors, warnings } of documents) expect([...errors, ...warnings]).toEqual([])
    expect(manifest).toMatchObject({ apiVersion: 'apps/v1', kind: 'Deployment' })
    expect(manifest.spec.selector.matchLabels).toEqual(manifest.spec.template.metadata.labels)
    expect(pod.containers).toHaveLength(1)
    const ports = container.ports.map(({ containerPort }: { containerPort: number }) => containerPort)
    for (const probe of [container.readinessProbe, container.livenessProbe]) expect(ports).toContain(probe.httpGet.port)
  })

  it('the grace period is longer than what the text says of delay and timeout', () => {
    const prose = readFileSync(join(root, 'docs/deploy/kubernetes.md'), 'utf8')
    const number = (name: string) => Number(new RegExp(`${name}: ([\\d_]+)`).exec(prose)?.[1]?.replaceAll('_', ''))
    const needed = number('shutdownDelayMs') + number('shutdownTimeoutMs')
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(needed)
  })

  it('what it starts restarts, and ends', async ({ skip }) => {
    skip(!isRoot, 'needs root')
    const environment = Object.fromEntries(
      container.env.map((each: { name: string; value: string }) => [each.name, each.value]),
    )
    const service = await contained(container.command, environment)
    await expectRestarts(service, told('kubernetes.md', /`kubectl exec deploy\/app -- (.*?)`/), environment)
  })
})
