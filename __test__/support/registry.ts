/** A registry of npm's with a few packages in it. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { run } from './run'

/** Serves the packages whose tarballs are in `folder` until the tests of this file are over; resolves with its URL. */
export async function registry(folder: string): Promise<string> {
  const server = http.createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  afterAll(() => new Promise((resolve) => server.close(resolve).closeAllConnections()))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const answers = new Map<string, Buffer | string>()
  for (const file of readdirSync(folder)) {
    const tarball = readFileSync(join(folder, file))
    const { stdout } = await run('tar', ['-xOzf', join(folder, file), 'package/package.json'])
    const manifest = JSON.parse(stdout)
    const { name, version } = manifest
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const described = { ...manifest, dist: { integrity, tarball: `${url}${file}` } }
    answers.set(`/${file}`, tarball)
    answers.set(
      `/${name}`,
      // Also what pnpm asks for: since when there is this version.
      JSON.stringify({
        ...{ name, 'dist-tags': { latest: version }, versions: { [version]: described } },
        time: { [version]: '2020-01-01T00:00:00.000Z' },
      }),
    )
  }
  server.on('request', ({ url: path = '' }, response) => {
    const answer = answers.get(decodeURIComponent(path))
    response.statusCode = answer === undefined ? 404 : 200
    response.end(answer ?? '{}')
  })
  return url
}
