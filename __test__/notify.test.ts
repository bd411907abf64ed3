/** What a service manager hears, in the order of sd_notify(3), on a real datagram socket. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from './support/directory'
import { Output } from './support/output'
import { start } from './support/spawn'

/** Node has no unix datagram sockets; perl is part of every Debian. Descriptors that come along are closed: a barrier. */
const RECEIVER = `
  use Socket; $| = 1;
  socket(S, AF_UNIX, SOCK_DGRAM, 0) or die $!; bind(S, pack_sockaddr_un($ARGV[0])) or die $!; print "bound\\n";
  while (defined recv(S, $m, 65536, 0)) { $m =~ s/\\n/ /g; print "$m\\n" }`

it('READY by the first generation, then MAINPID and a barrier by the old one before the new one is adopted', async () => {
  const path = join(temporaryDirectory(), 'notify.sock')
  const manager = spawn('perl', ['-e', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void manager.kill())
  const heard = new Output()
  heard.follow(manager.stdout)
  await heard.line(/^bound$/)

  const service = start('serves.mjs', { env: { NOTIFY_SOCKET: path } })
  await service.event('ready')
  await heard.line(/^READY=1 STATUS=generation 1: ready, 0 connections$/)
  const { pid } = await service.restart()
  await service.firstExit
  await service.end(pid)
  await heard.line(/: stopped/)
  expect(heard.text().trim().split('\n')).toEqual([
    'bound',
    'STATUS=generation 1: starting, 0 connections EXTEND_TIMEOUT_USEC=60000000',
    'READY=1 STATUS=generation 1: ready, 0 connections',
    'X_SHELLFLIP_NEXT=0',
    'STATUS=generation 1: restarting, 0 connections',
    `X_SHELLFLIP_NEXT=${pid}`,
    `MAINPID=${pid} READY=1 STATUS=generation 2: ready`,
    'BARRIER=1',
    'STATUS=generation 2: ready, 0 connections',
    'STOPPING=1',
    'STATUS=generation 2: draining, 0 connections EXTEND_TIMEOUT_USEC=11000000',
    'STATUS=generation 2: stopped, 0 connections',
  ])
})
