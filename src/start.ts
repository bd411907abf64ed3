/** `shellflip()`: one service for each process. Until it resolves nothing listens; if it rejects nothing stays behind. */
import cluster from 'node:cluster'
import { basename, extname, resolve } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { cannotStartAgain } from './command'
import { Conductor } from './conductor'
import type { Context } from './context'
import { currentService, setCurrentService } from './current'
import { invalidArgument, messageOf, unsupported } from './errors'
import { fromNativeInFull } from './failures'
import { handoverKind } from './handover'
import { LoopHold } from './hold'
import { Listeners } from './listen'
import { loggerFor, trace } from './logger'
import { ServiceManager } from './manager'
import { type Engine, loadError, type Native, type NativeEvent, platformSupported, requireNative } from './native'
import { type Settings, validateOptions } from './options'
import { readHandover, tellHandover } from './receive'
import { RunningService } from './service'
import { decodeState } from './state'
import { detectSupervisor } from './supervisor'
import type { Logger, ServiceEvents, ServiceOptions, ServicePhase } from './types'

/** {@link shellflip}, once it is called. */
export function startService<State>(options?: ServiceOptions<State>): Promise<RunningService<State>> {
  if (currentService() !== null) {
    return Promise.reject(
      invalidArgument(
        'shellflip() was called before in this process, and one process is one service: share what it gave',
      ),
    )
  }
  const service = start(options)
  const current = service as Promise<RunningService<unknown>>
  setCurrentService(current)
  const forget = (): void => {
    if (currentService() === current) setCurrentService(null)
  }
  // An inert service holds nothing of the process: tests may make one after the other.
  const inert = options?.enabled === false || !platformSupported
  service.then((started) => (inert ? started.closed.then(forget) : undefined), forget)
  return service
}

async function start<State>(options: ServiceOptions<State> | undefined): Promise<RunningService<State>> {
  const settings = validateOptions(options)
  const logger = loggerFor(settings.logger)
  const native = nativeFor(settings, logger)

  // Nothing is reported before this turn is over.
  let conductor: Conductor<State>
  let service: RunningService<State>
  const engine = native === null ? null : newEngine(native, settings, logger, (event) => conductor.dispatch(event))
  const manager = engine === null ? null : new ServiceManager(engine, settings, () => context.listeners)
  let phase: ServicePhase = 'starting'
  const context: Context<State> = {
    settings,
    engine,
    logger,
    generation: native?.inheritance().generation ?? 1,
    successor: native?.inheritance().old ?? false,
    refusal: refusalOf(settings, engine),
    hold: new LoopHold(),
    manager,
    get phase() {
      return phase
    },
    set phase(next) {
      phase = next
      manager?.report(next)
    },
    listeners: new Listeners({
      engine,
      warn: (message) => logger.warn(message),
      onFirstListen: () => conductor.readiness.onListen(),
      isDraining: () => context.phase === 'draining' || context.phase === 'stopped',
    }),
    announce: (event, ...args) => announce(service, event, args),
  }
  conductor = new Conductor(context)
  service = new RunningService(context, conductor)
  conductor.attach()
  if (engine === null) tellHandover('none')
  else await inherit(context, conductor, engine)
  return service
}

/** Waits for the engine, and takes what the old generation sent. */
async function inherit<State>(context: Context<State>, conductor: Conductor<State>, engine: Engine): Promise<void> {
  const { hold, logger, successor } = context
  const { socket, warnings, handover } = await hold.during(conductor.started)
  for (const warning of warnings) logger.warn(warning)
  conductor.socket = socket ?? null
  tellHandover(handover)
  if (!successor || handover !== 'value') return
  try {
    conductor.inherited = (await hold.during(receiveState(logger))) as State | undefined
  } catch (error) {
    // The old one goes on as if nothing had happened, and says why.
    engine.failing(messageOf(error))
    conductor.detach()
    throw error
  }
}

async function receiveState(logger: Logger): Promise<unknown> {
  const decoded = decodeState(await readHandover())
  if (!decoded.cutShort) return decoded.state
  const { received, expected } = decoded
  logger.warn(
    `the old generation went away while it handed over its state (${received} of ${expected ?? 'unknown'} bytes came): ` +
      'service.inherited is undefined, as in a first generation',
  )
  return undefined
}

/** The addon, or null for an inert service. */
function nativeFor(settings: Settings, logger: Logger): Native | null {
  if (!settings.enabled) return null
  if (!platformSupported) {
    logger.warn(loadError().message)
    return null
  }
  if (!isMainThread) {
    throw unsupported(
      'shellflip() works only in the main thread, since a restart replaces the whole process: call it there and tell ' +
        'the workers to stop on service.signal, or give enabled: false in a worker (tests)',
    )
  }
  if (cluster.isWorker) {
    throw unsupported(
      "shellflip() does not work in a cluster worker, whose sockets are the primary's: run the service as one process, " +
        'or one service with its own port for each process, or give enabled: false',
    )
  }
  return requireNative()
}

function newEngine(native: Native, settings: Settings, logger: Logger, onEvent: (event: NativeEvent) => void): Engine {
  const { path, explicit } = coordinationSocket(native, settings, logger)
  return new native.Engine(
    {
      socket: path,
      socketExplicit: explicit,
      readyTimeoutMs: settings.readyTimeoutMs,
      handover: handoverKind(settings),
      undoHook: settings.lifecycle.newProcessFailed !== undefined,
      fdStore: settings.fdStore,
      ...(settings.pidFile === undefined ? {} : { pidFile: resolve(settings.pidFile) }),
      trace: trace.enabled,
    },
    onEvent,
  )
}

function coordinationSocket(native: Native, settings: Settings, logger: Logger): { path?: string; explicit: boolean } {
  if (settings.socket === false) return { explicit: true }
  if (settings.socket !== undefined) return { path: resolve(settings.socket), explicit: true }
  const script = process.argv[1] ?? process.execPath
  const { path, explicit, failure } = native.defaultSocketPath(basename(script, extname(script)), script)
  if (failure === undefined) return { path, explicit }
  if (explicit) throw fromNativeInFull(failure)
  logger.warn(
    `no coordination socket: ${failure.message}. The service can be restarted by its signal only; ` +
      'give a path in options.socket or $SHELLFLIP_SOCKET',
  )
  return { explicit: false }
}

function refusalOf(settings: Settings, engine: Engine | null): string | null {
  if (!settings.enabled) return 'restarts are switched off (enabled: false)'
  if (engine === null) return loadError().message
  const again = cannotStartAgain(settings)
  if (again !== null) return again.message
  if (settings.supervisor === 'ignore') return null
  const supervisor = detectSupervisor()
  return supervisor === null ? null : `a restart here would end the service (${supervisor.name}): ${supervisor.advice}`
}

function announce<State, K extends keyof ServiceEvents>(
  service: RunningService<State>,
  event: K,
  args: ServiceEvents[K],
): void {
  try {
    ;(service as RunningService<unknown> & { emit(event: string, ...args: unknown[]): boolean }).emit(event, ...args)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}
