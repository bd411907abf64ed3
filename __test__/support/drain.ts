/** What the tests of draining share: an inert service's listeners, and handlers that answer when told to. */
import type http from 'node:http'
import type net from 'node:net'
import type { Listeners } from '../../src/listen'
import { listenersOf } from './listeners'

/** The response says that its connection ends. */
export const CLOSE = /^connection: close\r$/im
/** Received in full, up to that text. */
export const ends = (text: string): RegExp => new RegExp(`${text}$`)
/** The same for a body in chunks. */
export const chunked = (text: string): RegExp => ends(`${text}\r\n0\r\n\r\n`)
/** No deadline. */
export const never = new AbortController().signal
export const restart = { reason: 'restart', immediate: false, deadline: never } as const

/** Listens as an inert service does. */
export async function serve(server: net.Server): Promise<{ listeners: Listeners; port: number }> {
  const { listeners } = listenersOf(null)
  const address = await listeners.listen(server, { host: '127.0.0.1' })
  return { listeners, port: (address as net.AddressInfo).port }
}

/** A handler whose response is written when the test says so. */
export function held(): { handler: http.RequestListener; next(): Promise<http.ServerResponse> } {
  const arrived: http.ServerResponse[] = []
  let wake = (): void => {}
  return {
    handler: (_request, response) => {
      arrived.push(response)
      wake()
    },
    async next() {
      while (arrived.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return arrived.shift()!
    },
  }
}
