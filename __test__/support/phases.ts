/** A restart that stands still in one of its phases, as DESIGN's table names them. */
import { askRestart, eventOf, inPhase, launcherOf, type Serving, serving, stop, tell } from './generations'

/** P: the hook runs. I: the new one initialises. C: COMMIT is sent. A: the new one serves, and is not adopted. */
export type Phase = 'P' | 'I' | 'C' | 'A'

export interface Standing extends Serving {
  /** Whoever asked for the restart. */
  asked: ReturnType<typeof askRestart>
  /** The new generation; pid 0 in P, where there is none. */
  second: { pid: number; generation: number }
  /** Lets the restart go on. */
  goOn(): void
}

const PROGRAMS = {
  P: 'hook-waits.mjs',
  I: 'ready-when-told.mjs',
  C: 'commits-when-told.mjs',
  A: 'ready-when-told.mjs',
}

/**
 * Starts a service, asks for a restart, and resolves when that has come to its phase. In A, for 5 s at most. All
 * generations trace what they do.
 */
export async function standing(phase: Phase): Promise<Standing> {
  const old = await serving(PROGRAMS[phase], { env: { NODE_DEBUG: 'shellflip' } })
  const { service } = old
  const asked = askRestart(service)
  const goOn = () => tell(service, 'go')
  if (phase === 'P') {
    await service.event('hook')
    return { ...old, asked, second: { pid: 0, generation: 2 }, goOn }
  }
  const second = await eventOf(service, phase === 'C' ? 'blocked' : 'listening', 2)
  if (phase === 'C') await inPhase(service, 'committing')
  if (phase !== 'A') return { ...old, asked, second, goOn }
  const launcher = launcherOf(second.pid)
  await stop(launcher)
  goOn()
  await eventOf(service, 'ready', 2)
  await inPhase(service, 'taking over')
  return { ...old, asked, second, goOn: () => void process.kill(launcher, 'SIGCONT') }
}
