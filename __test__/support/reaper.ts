/** Starts a service whose processes are all reaped, however they come to be orphans, and whose exit codes are all told. */
import { type Service, type StartOptions, start } from './spawn'

/** prctl(2) by number: Node and perl have no name for it. */
const PRCTL: Record<string, number> = { x64: 157, arm64: 167 }

/** Becomes the subreaper (36) of what it runs, says how each process ended, and ends with the last one. */
const REAPER = `
  use POSIX; $| = 1;
  syscall(${PRCTL[process.arch]}, 36, 1, 0, 0, 0) == 0 or die $!;
  my $first = fork // die $!;
  if ($first == 0) { exec { $ARGV[0] } @ARGV; die $! }
  $SIG{$_} = 'IGNORE' for qw(TERM INT HUP USR2);
  while ((my $pid = waitpid(-1, 0)) > 0) {
    my ($code, $signal) = ($? >> 8, $? & 127);
    print qq({"event":"exited","pid":$pid,"code":$code,"signal":$signal}\n);
  }`

/** How a process ended. `signal` is 0 where none ended it. */
export interface Exited {
  pid: number
  code: number
  signal: number
}

/** As start(); `service.pid` is the reaper's. Launchers are told of as well. */
export function startReaped(program: string, options: StartOptions = {}): Service {
  return start(program, { ...options, file: 'perl', execArgv: ['-e', REAPER, process.execPath] })
}

/** Resolves once that process has ended. */
export function exitOf(service: Service, pid: number, deadlineMs?: number): Promise<Exited> {
  const parse = (line: string): Exited | undefined => {
    if (!line.startsWith('{"event":"exited"')) return undefined
    const said: Exited = JSON.parse(line)
    return said.pid === pid ? { pid, code: said.code, signal: said.signal } : undefined
  }
  return service.output.take(parse, `that says how ${pid} ended`, deadlineMs)
}
