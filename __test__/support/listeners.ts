/** Listeners as a service has them, ended with the test. */
import http from 'node:http'
import type net from 'node:net'
import { onTestFinished } from 'vitest'
import { Listeners } from '../../src/listen'
import type { StubEngine } from './stub-engine'

/** Without an engine: inert. `events` takes down warnings and each listener. */
export function listenersOf(engine: StubEngine | null, isDraining = () => false) {
  const events: string[] = []
  const listeners = new Listeners({
    engine,
    warn: (message) => events.push(`warning: ${message}`),
    onFirstListen: () => events.push('listen'),
    isDraining,
  })
  onTestFinished(async () => {
    await listeners.drain({ reason: 'shutdown', immediate: true, deadline: AbortSignal.abort() })
  })
  return { listeners, events }
}

/** A server whose every answer is `here`. */
export const answers = (): http.Server => http.createServer((_request, response) => response.end('here'))
export const portOf = (address: net.AddressInfo | string): number => (address as net.AddressInfo).port
