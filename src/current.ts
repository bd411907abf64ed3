/** One process is one service: which one that is. Apart from the service itself, which is loaded when one is wanted. */
import type { RunningService } from './service'

let current: Promise<RunningService<unknown>> | null = null

/** The service of this process, or what is about to be it; null: none. */
export function currentService(): Promise<RunningService<unknown>> | null {
  return current
}

export function setCurrentService(service: Promise<RunningService<unknown>> | null): void {
  current = service
}
