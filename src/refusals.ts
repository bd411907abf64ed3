/** What `listen()` cannot take, and what to do instead, by name. */
import cluster from 'node:cluster'
import { Socket as DatagramSocket } from 'node:dgram'
import { invalidArgument, ShellflipError, unsupported } from './errors'
import { BUN, DENO } from './runtime'

/** For what is no server of Node's. */
export function notAServer(given: unknown): ShellflipError {
  if (BUN && has(given, 'reload', 'stop')) {
    return unsupported(
      "listen: a server of Bun's own listens already: use serve(service, options) of '@shellflip/node/bun' in the place of " +
        'Bun.serve(options), and node:net in that of Bun.listen',
    )
  }
  if (DENO && (has(given, 'shutdown', 'ref') || has(given, 'accept', 'close'))) {
    return unsupported(
      'listen: Deno.serve and Deno.listen take no socket from elsewhere: use node:http in the place of Deno.serve, and ' +
        'node:net in that of Deno.listen',
    )
  }
  return invalidArgument('listen: the server wants to be a net, tls, http, https or http2 server, or a dgram socket')
}

/** For a server that this process cannot give a socket to; null if it can. */
export function cannotAdopt(server: unknown): ShellflipError | null {
  if (cluster.isWorker) {
    return unsupported(
      'listen: in a cluster worker the primary owns the listeners. Run the service without cluster, or call shellflip() ' +
        'with enabled: false in workers',
    )
  }
  if (!DENO || !(server instanceof DatagramSocket)) return null
  return unsupported(
    'listen: a dgram socket of Deno takes no socket from elsewhere: bind it yourself, with reuseAddr; it will not be handed ' +
      'over. Under Node.js and Bun it is',
  )
}

/** For a listener that comes too late. */
export function isDraining(): ShellflipError {
  return new ShellflipError('ERR_SHELLFLIP_DRAINING', 'listen: the service is draining and takes no new listeners')
}

function has(given: unknown, ...methods: string[]): boolean {
  if (typeof given !== 'object' || given === null) return false
  return methods.every((name) => typeof (given as Record<string, unknown>)[name] === 'function')
}
