/** A service manager that takes what it is sent and never answers: its barrier stays closed for ever. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from './directory'
import { Output } from './output'

/** Node has no unix datagram sockets; perl is part of every Debian. What nobody receives keeps its descriptors open. */
const SILENT = `
  use Socket; $| = 1;
  socket(S, AF_UNIX, SOCK_DGRAM, 0) or die $!; bind(S, pack_sockaddr_un($ARGV[0])) or die $!; print "bound\n";
  sleep`

/** Resolves with a path for $NOTIFY_SOCKET. It is ended with the test. */
export async function silentManager(): Promise<string> {
  const path = join(temporaryDirectory(), 'notify.sock')
  const manager = spawn('perl', ['-e', SILENT, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void manager.kill())
  const output = new Output()
  output.follow(manager.stdout)
  await output.line(/^bound$/)
  return path
}
