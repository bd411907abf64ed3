/** The public types: what `shellflip()` takes and gives. Times are in milliseconds and their names say so. */
import type * as dgram from 'node:dgram'
import type { EventEmitter } from 'node:events'
import type * as net from 'node:net'
import type { Writable } from 'node:stream'
import type { ShellflipError } from './errors'
import type { ShutdownHandle } from './shutdown'

/** Where the service's own messages go. */
export interface Logger {
  info(message: string): void
  warn(message: string): void
  error(message: string): void
}

/** The crate's three hooks, for state sent as a stream of raw bytes. One of the first two that fails rolls the restart back. */
export interface LifecycleHandler {
  /** Before anything is started. */
  preNewProcess?(): void | Promise<void>
  /**
   * Once the new generation runs: what is written to `pipe` is what `receiveFromOldProcess()` reads there. The pipe ends
   * when the returned promise resolves. Mind the backpressure: `await pipeline(source, pipe)`.
   */
  sendToNewProcess?(pipe: Writable): void | Promise<void>
  /**
   * After a restart failed, whatever the reason, and before whoever asked is told; this generation goes on. What it throws
   * is logged. No restart begins while it runs, but it is not waited for longer than 5 s.
   */
  newProcessFailed?(error: ShellflipError): void | Promise<void>
}

/** The program of the next generation. It must become the service itself: `npm start` and other wrappers must not. */
export interface ServiceCommand {
  file: string
  args: string[]
  /** Default: the directory this process was started in. */
  cwd?: string
}

/** What `shellflip()` can be told. Everything has a default. */
export interface ServiceOptions<State = unknown> {
  /** Default true. False (tests, Windows) makes the service inert: listen and drain work, restart() rejects UNSUPPORTED. */
  enabled?: boolean
  /**
   * Path of the coordination socket; false for none. Default: `$SHELLFLIP_SOCKET`, else
   * `$RUNTIME_DIRECTORY/shellflip.sock`, else a name derived from the script in `$XDG_RUNTIME_DIR` or a private
   * temporary directory. A path given here or by the variable that a live process owns rejects with SOCKET_IN_USE; a
   * derived one warns, and the service goes on without.
   */
  socket?: string | false
  /** The signal that asks for a restart; false for none. Default `'SIGUSR2'`. */
  restartSignal?: NodeJS.Signals | false
  /** Signals that drain and end the service. Default `['SIGTERM', 'SIGINT']`. A second SIGINT exits at once (130). */
  shutdownSignals?: NodeJS.Signals[]
  /** How long a new generation may take, hooks included, before it is rolled back. Default 60 000; 0: no limit. */
  readyTimeoutMs?: number
  /**
   * `'manual'` (default): the application calls `service.ready()`. `'listening'`: at the first listen, or, in a new
   * generation, once every inherited listener is claimed.
   */
  ready?: 'manual' | 'listening'
  /** How long the old generation may drain after a restart. Default 30 000; 0: no limit. */
  drainTimeoutMs?: number
  /** How long to drain after a shutdown signal or `shutdown()`. Default 8 000 (docker stop allows 10 s); 0: no limit. */
  shutdownTimeoutMs?: number
  /**
   * After a shutdown signal other than SIGINT, go on accepting that long, already in phase `'draining'`, until load
   * balancers have noticed; `shutdownTimeoutMs` starts afterwards. Default 0.
   */
  shutdownDelayMs?: number
  /** How long live connections may take to move to the new generation. Default 5 000. */
  migrateTimeoutMs?: number
  /** State for the new generation, structured-cloneable; it becomes `service.inherited` there. */
  handover?: () => State | Promise<State>
  /** The same as a stream of raw bytes. Not together with `handover`. */
  lifecycle?: LifecycleHandler
  /**
   * Changes to the next generation's environment, which is this process's as it is then, but for what `node --env-file`
   * read: that is read again. Undefined removes a variable.
   */
  environment?: Record<string, string | undefined>
  /** The next generation's program. Default: this process again, through symlinks as first given. */
  command?: ServiceCommand
  /** `'auto'` (default) refuses restarts where the first one would end the service (pid 1, tini, PM2 …); `'ignore'` does not look. */
  supervisor?: 'auto' | 'ignore'
  /**
   * Keeps the listeners in systemd's descriptor store under their names (`FileDescriptorStoreMax=` at least their number):
   * after `systemctl restart`, or if the process is killed, connections wait and are answered by the next one. Default
   * false. Without a service manager (NOTIFY_SOCKET) it does nothing. Unix socket paths then stay at the end, and names
   * longer than 255 bytes must differ in what comes before. What cannot be stored is warned of, and served all the same.
   */
  fdStore?: boolean
  /**
   * A file with the pid of the generation that serves: replaced in one step when a new one takes over, removed at the end
   * if it still names this process. Relative to the working directory. Default: none. If it cannot be written, a warning
   * says so and the service goes on.
   */
  pidFile?: string
  /** Default: warnings by `process.emitWarning`, nothing else. NODE_DEBUG=shellflip traces every step. */
  logger?: Logger
  /** Default true: `process.exit()` once drained. False: only `closed` resolves. */
  exit?: boolean
}

/** What a server may be told when it listens through the service. */
export interface ListenOptions {
  /** 0, or absent where there is no `path`: any free port, or the inherited one of that name. */
  port?: number
  /** Address or host name. Default: all addresses. */
  host?: string
  /** A unix socket, instead of port and host. */
  path?: string
  /** Permissions with which that unix socket is born, such as 0o660. Default: by umask. */
  mode?: number
  /** Length of the accept queue. Default, and meaning of 0: 511. */
  backlog?: number
  /** Do not take IPv4 on `::`. Default false. */
  ipv6Only?: boolean
  /** What the next generation claims it by. Default: the address asked for. */
  name?: string
  /** False keeps its connections from moving to the next generation. */
  migrate?: boolean
}

/** Everything that listens: net, tls, http, https, http2 servers and UDP sockets. */
export type ListeningServer = net.Server | dgram.Socket

/** `'starting'` until it serves, `'restarting'` while a new generation starts, `'draining'` from then on, `'stopped'` at the end. */
export type ServicePhase = 'starting' | 'ready' | 'restarting' | 'draining' | 'stopped'

/** How a restart ended well. */
export interface RestartOutcome {
  /** Process id of the new generation. */
  pid: number
  generation: number
  /** From the request to the new generation serving. */
  durationMs: number
}

/** How a drain ended. */
export interface DrainOutcome {
  /** Connections destroyed at the deadline. */
  cut: number
}

/** What `shellflip status --json` prints. */
export interface ServiceStatus {
  pid: number
  generation: number
  phase: ServicePhase
  uptimeMs: number
  /** The coordination socket, null without one, or while its file is gone and cannot be made anew. */
  socket: string | null
  listeners: { name: string; address: net.AddressInfo | string }[]
  connections: number
  inFlight: number
  migrated: number
  /** Older generations that are still draining. */
  draining: { pid: number; generation: number; sinceMs: number }[]
  /** The restart under way; absent without one. */
  restart?: { phase: string; pid?: number; sinceMs: number }
}

/** The events of a service and their arguments. */
export interface ServiceEvents {
  /** A new generation was started. */
  restarting: [event: { pid: number }]
  /** It serves; this generation will drain. */
  restarted: [event: RestartOutcome]
  /** It failed and is gone; this generation goes on. */
  restartFailed: [error: ShellflipError]
  /** Draining begins. */
  draining: [event: { reason: 'restart' | 'shutdown' }]
  /** No connection and no handle is left; shutdown hooks run next. */
  drained: [event: DrainOutcome]
}

/** A running service: one generation of it. */
export interface Service<State = unknown> extends EventEmitter<ServiceEvents> {
  /** False where `restart()` would reject UNSUPPORTED. */
  readonly supported: boolean
  /** 1 for the first process of the service. */
  readonly generation: number
  readonly phase: ServicePhase
  /** What the old generation's `handover()` gave; undefined in a first generation. */
  readonly inherited: State | undefined
  /**
   * Aborted when this generation stops accepting for good: stop timers, consumers and long-lived sockets on it. Its
   * reason is a {@link ShellflipError} (DRAINING) whose `reason` is `'restart'` or `'shutdown'`.
   */
  readonly signal: AbortSignal
  /** Resolves once this generation has drained and its hooks have run. Never rejects. */
  readonly closed: Promise<DrainOutcome>
  /**
   * Binds, or claims the inherited listener of that name. Resolves with the real address; accepting starts when the
   * service serves (see {@link Service.ready}).
   */
  listen(server: ListeningServer, options: number | ListenOptions): Promise<net.AddressInfo | string>
  /** For frameworks that call `server.listen` themselves: that server's listen goes through the service. */
  manage<S extends net.Server>(server: S): S
  /** Not in this release. */
  migrate(server: net.Server, hooks: MigrateHooks): void
  /** Says that this generation can serve; resolves when it does. */
  ready(): Promise<void>
  /** Replaces this process by a new generation; resolves once that one serves. */
  restart(): Promise<RestartOutcome>
  /** Drains, then runs the hooks. Resolves as `closed` does. Never rejects. */
  shutdown(): Promise<DrainOutcome>
  /** Holds the drain open until released: `using work = service.handle()`. */
  handle(): ShutdownHandle
  /** Runs after the drain, newest first, awaited; all hooks together have the rest of the drain's time and 1 s more. */
  onShutdown(hook: () => void | Promise<void>): void
  status(): ServiceStatus
}

/** How a raw TCP connection's state moves to the new generation. */
export interface MigrateHooks {
  serialize(socket: net.Socket): unknown
  restore(socket: net.Socket, state: unknown): void
}
