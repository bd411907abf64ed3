/** The service in numbers, for people and for health checks. */
import type { Context } from './context'
import type { ServiceStatus } from './types'

/** What `shellflip status --json` prints. */
export function statusOf(context: Context, socket: string | null): ServiceStatus {
  const { engine, listeners, generation, phase } = context
  const { connections, inFlight } = listeners.counts()
  const restart = engine?.progress()
  return {
    pid: process.pid,
    generation,
    phase,
    uptimeMs: Math.round(process.uptime() * 1000),
    socket,
    listeners: listeners.names(),
    connections,
    inFlight,
    migrated: 0,
    draining: engine?.draining() ?? [],
    ...(restart ? { restart } : {}),
  }
}
