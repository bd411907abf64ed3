/**
 * A hostile or stale environment, with real descriptors: nothing in it is closed, answered, written or read, and nothing
 * of it reaches the service or its children.
 */
import { closeSync, openSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { answerOf, endOf, event, Fifo, parentListener, startWith } from './support/inherit'

const READER = 'environment-reader.mjs'

/** Opened until the test ends. */
function file(path: string, flags: string): number {
  const fd = openSync(path, flags)
  onTestFinished(() => closeSync(fd))
  return fd
}

async function tcpListener(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  onTestFinished(() => void server.close())
  return (server as unknown as { _handle: { fd: number } })._handle.fd
}

/** What descriptor 3 is, and what the variable says of it. */
const WRONG: [string, string, () => number | Promise<number>][] = [
  ['a closed number', '99', () => new Fifo().writing],
  ['a file', '3', () => file(join(temporaryDirectory(), 'file'), 'w')],
  ['a device', '3', () => file('/dev/null', 'r+')],
  ['a directory', '3', () => file('/', 'r')],
  ['a listening port', '3', tcpListener],
  ['the wrong end of a pipe', '3', () => new Fifo().reading],
  ['standard input', '0', () => new Fifo().writing],
  ['standard output', '1', () => new Fifo().writing],
  ['standard error', '2', () => new Fifo().writing],
  ['a negative number', '-3', () => new Fifo().writing],
  ['a huge number', '99999999999999999999', () => new Fifo().writing],
  ['a number with a sign', '+3', () => new Fifo().writing],
  ['text', 'x3', () => new Fifo().writing],
  ['nothing', '', () => new Fifo().writing],
]

describe('the variables of a Rust service that leaked into its grandchild', () => {
  it.each(WRONG)('OXY_NOTIFY_SOCKET names %s: the rest does not count', async (_, value, make) => {
    const third = await make()
    const handover = new Fifo()
    handover.write('secret')
    const listener = await parentListener()
    const variables = `OXY_NOTIFY_SOCKET='${value}' OXY_HANDOVER_PIPE=4 OXY_RESTART_SOCKET=5 SHELLFLIP_GENERATION=7`
    const service = startWith(READER, variables, [third, handover.reading, listener.fd])
    expect(await event(service, 'read')).toMatchObject({
      left: [],
      inherited: [],
      generation: 1,
      state: null,
      open: service.inodes,
    })
    await event(service, 'ready')
    for (const name of ['OXY_NOTIFY_SOCKET', 'OXY_HANDOVER_PIPE', 'OXY_RESTART_SOCKET', 'SHELLFLIP_GENERATION']) {
      expect(service.output.text()).toContain(name)
    }
    expect(await answerOf(listener.path)).toBe('parent')
    await endOf(service)
    expect(handover.take()).toBe('secret')
    expect(await answerOf(listener.path)).toBe('parent')
  })

  it.each([4, 5, 6, 7, 11, 12, 15, 16])("OXY_NOTIFY_SOCKET=%i, by chance a number of Node's own", async (number) => {
    const variables = `OXY_NOTIFY_SOCKET=${number} OXY_HANDOVER_PIPE=${number - 1}`
    const service = startWith(READER, variables, [])
    expect(await event(service, 'read')).toMatchObject({ left: [], inherited: [], generation: 1, state: null })
    await event(service, 'ready')
    await endOf(service)
  })
})

describe('a channel that is not ours', () => {
  it.each([
    ['of another process', 'SHELLFLIP_CHANNEL=1:3:1'],
    ['of another process, with a number', 'SHELLFLIP_CHANNEL=1:3:1 SHELLFLIP_GENERATION=4'],
    ['that is garbage', 'SHELLFLIP_CHANNEL=garbage'],
    ['of no number', 'SHELLFLIP_CHANNEL=1:3:'],
    ['with a negative number', 'SHELLFLIP_CHANNEL=1:-3:$$'],
    ['that is standard input', 'SHELLFLIP_CHANNEL=1:0:$$'],
    ['that is closed', 'SHELLFLIP_CHANNEL=1:99:$$'],
    ['that is a pipe', 'SHELLFLIP_CHANNEL=1:4:$$'],
    ['with a generation that is garbage', 'SHELLFLIP_CHANNEL=x SHELLFLIP_GENERATION=-1'],
  ])('%s is ignored, and nothing is said over it', async (_, variables) => {
    const fifo = new Fifo()
    const service = startWith(READER, variables, ['pipe', fifo.writing])
    let heard = 0
    service.ends.get(3)?.on('data', (data: Buffer) => {
      heard += data.length
    })
    const said = await event(service, 'read')
    expect(said).toMatchObject({ left: [], inherited: [], generation: 1 })
    expect(said.open).not.toContain(null)
    expect(service.output.text()).toMatch(/SHELLFLIP_CHANNEL .*; ignored and removed/)
    await event(service, 'ready')
    await endOf(service)
    expect(heard).toBe(0)
    expect(fifo.take()).toBe('')
  })

  it('of a version that this release does not speak ends the start, and says so over the channel only', async () => {
    const ready = new Fifo()
    const variables = 'OXY_NOTIFY_SOCKET=4 SHELLFLIP_CHANNEL=99:3:$$ SHELLFLIP_GENERATION=2'
    const service = startWith(READER, variables, ['pipe', ready.writing])
    const hello = JSON.stringify({ version: 99, min: 99, pid: process.pid, generation: 1 })
    const head = Buffer.from([0, 0, 0, hello.length, 1, 0])
    service.ends.get(3)?.write(Buffer.concat([head, Buffer.from(hello)]))
    expect(await event(service, 'refused')).toMatchObject({
      left: [],
      inherited: [],
      code: 'ERR_SHELLFLIP_INHERITANCE',
      message: expect.stringMatching(/99.* of the channel/) as string,
    })
    expect(ready.take(), 'it never said that it was ready').toBe('')
  })

  it('that is right, without its readiness pipe, is an error that names what is missing', async () => {
    const service = startWith(READER, 'SHELLFLIP_CHANNEL=1:3:$$', ['pipe'])
    expect(await event(service, 'refused')).toMatchObject({
      code: 'ERR_SHELLFLIP_INHERITANCE',
      message: expect.stringContaining('OXY_NOTIFY_SOCKET') as string,
    })
  })
})

describe('a service manager’s variables that lie', () => {
  it.each([
    ['they are for another process', 'LISTEN_PID=1 LISTEN_FDS=2', /LISTEN_PID names another process/],
    ['LISTEN_PID is garbage', 'LISTEN_PID=me LISTEN_FDS=2', /LISTEN_PID names another process/],
    ['LISTEN_PID=auto without a Rust parent', 'LISTEN_PID=auto LISTEN_FDS=2', /LISTEN_PID is 'auto'/],
    ['there is no LISTEN_PID', 'LISTEN_FDS=2', /LISTEN_FDS counts only together with LISTEN_PID/],
    ['a pipe and a file instead of sockets', 'LISTEN_PID=$$ LISTEN_FDS=2', /LISTEN_FDS passes descriptor 4/],
    ['more than there are', 'LISTEN_PID=$$ LISTEN_FDS=1000', /LISTEN_FDS/],
    ['a huge number', 'LISTEN_PID=$$ LISTEN_FDS=2147483647', /LISTEN_FDS/],
    ['a negative number', 'LISTEN_PID=$$ LISTEN_FDS=-1', /LISTEN_FDS is not a number/],
    ['other names than sockets', 'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b:c', /LISTEN_FDNAMES has 3 names/],
  ])('%s', async (_, variables, warning) => {
    const fifo = new Fifo()
    const service = startWith(READER, variables, [fifo.reading, file(join(temporaryDirectory(), 'file'), 'w')])
    fifo.write('secret')
    const said = await event(service, 'read')
    expect(said).toMatchObject({ left: [], inherited: [], generation: 1, open: service.inodes })
    await event(service, 'ready')
    expect(service.output.text()).toMatch(warning)
    await endOf(service)
    expect(fifo.take()).toBe('secret')
  })
})
