import type { Claimed } from './address'
import type { Adopted } from './adopt'
import type { DrainHow } from './drain'

/** A server of the runtime's own kind (`Bun.serve`), which knows how it is adopted and drained. */
export interface ForeignServer {
  adopt(claimed: Claimed, closed: () => void): Adopted
  /** Never rejects. */
  drain(how: DrainHow): Promise<{ cut: number }>
  counts(): { connections: number; inFlight: number }
}
