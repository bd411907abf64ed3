/** TLS session tickets: with the keys of the old generation's servers the new ones resume the sessions of their clients. */
import { Server as TlsServer } from 'node:tls'
import { messageOf } from './errors'
import { trace } from './logger'
import type { Engine } from './native'

/** The keys of one server, by the name of its listener. */
export interface TicketKeys {
  name: string
  keys: Buffer
}

/** Those of the TLS servers among these listeners. */
export function ticketKeysOf(listeners: Iterable<{ name: string; server: unknown }>): TicketKeys[] {
  const keys: TicketKeys[] = []
  for (const { name, server } of listeners) {
    if (!(server instanceof TlsServer)) continue
    try {
      keys.push({ name, keys: server.getTicketKeys() })
    } catch (error) {
      // Bun has the method, which throws: its clients make new sessions.
      trace('no ticket keys of %s: %s', name, messageOf(error))
    }
  }
  return keys
}

/** Takes over what the old generation gave for that listener; warns if it cannot be used. */
export function inheritTickets(
  server: TlsServer,
  name: string,
  { engine, warn }: { engine: Pick<Engine, 'ticketKeys'> | null; warn(message: string): void },
): void {
  const keys = engine?.ticketKeys(name)
  if (keys == null) return
  try {
    server.setTicketKeys(keys)
  } catch (error) {
    warn(`listen: TLS sessions of the old generation cannot be resumed at ${name}: ${messageOf(error)}`)
  }
}
