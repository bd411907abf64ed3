/** Which runtime this is, and what its servers are. */
import * as http from 'node:http'
import * as net from 'node:net'

/** Bun: its servers have no handles of Node's, and its HTTP servers are no net servers. */
export const BUN = process.versions.bun !== undefined

/** Deno: net and http servers are Node's own, down to their handles; dgram sockets are not. */
export const DENO = 'Deno' in globalThis

/** A net, tls, http, https or http2 server. */
export function isServer(server: unknown): server is net.Server {
  return server instanceof net.Server || server instanceof http.Server
}

/** Closes the listener alone, whatever `close` may be on this server: no connection, no session. */
export function closeListener(server: net.Server): void {
  const { prototype } = server instanceof net.Server ? net.Server : http.Server
  prototype.close.call(server)
}
