/**
 * An engine for tests of the facade alone: its sockets are bound by a second process, which sends the descriptors here
 * and is gone, so that they listen in the kernel and nobody polls them. As the real one it has no part in accepting.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { NativeAddress, NativeClaim, NativeFailure, NativeListenRequest } from '../../src/native'

const BINDER = fileURLToPath(new URL('../fixtures/binds-and-sends.mjs', import.meta.url))

export interface StubEngine {
  requests: NativeListenRequest[]
  dropped: string[]
  keys: Map<string, Buffer>
  /** The next claim fails with this. */
  failure: NativeFailure | null
  claim(request: NativeListenRequest): NativeClaim
  reclaim(name: string): NativeClaim
  drop(name: string): void
  ticketKeys(name: string): Buffer | null
}

/** `addresses` are bound now and claimed in this order. */
export async function stubEngine(...addresses: NativeAddress[]): Promise<StubEngine> {
  const waiting: { fd: number; address: NativeAddress }[] = []
  for (const address of addresses) waiting.push(await bindElsewhere(address))
  const engine: StubEngine = {
    requests: [],
    dropped: [],
    keys: new Map(),
    failure: null,
    claim(request) {
      this.requests.push(request)
      const name = request.name ?? `unnamed ${this.requests.length}`
      const next = this.failure === null ? waiting.shift() : undefined
      if (next !== undefined) return { ...next, name, inherited: true }
      const failure = this.failure ?? { message: 'the stub has no socket left' }
      return { fd: -1, name, address: request.address, inherited: false, failure }
    },
    reclaim(name) {
      // Another socket stands in for another copy of the same one, which Node cannot make.
      const next = waiting.shift()
      if (next === undefined) throw new Error('the stub has no socket left')
      return { fd: next.fd, name, address: next.address, inherited: true }
    },
    drop(name) {
      this.dropped.push(name)
    },
    ticketKeys(name) {
      return this.keys.get(name) ?? null
    },
  }
  return engine
}

/** Handles that are never closed: the descriptor is given away under them. */
const kept: unknown[] = []

async function bindElsewhere(address: NativeAddress): Promise<{ fd: number; address: NativeAddress }> {
  const child = fork(BINDER, [JSON.stringify(address)])
  const [real, handle] = (await once(child, 'message')) as [NativeAddress, { fd: number; unref(): void }]
  const exited = once(child, 'exit')
  child.send('received')
  await exited
  handle.unref()
  kept.push(handle)
  return { fd: handle.fd, address: real }
}
