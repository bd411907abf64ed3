/** The address of a host that is given by name: the engine knows addresses only. */
import { Socket as DatagramSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isV4Only, type Wanted } from './listen-options'
import { closedMeanwhile } from './listen-outcome'
import type { ListeningServer } from './types'

/** The same with the host's address; as Node takes it, the first. Rejects, too, if the server is closed meanwhile. */
export async function lookUp(server: ListeningServer, wanted: Wanted): Promise<Wanted> {
  // Node counts calls of listen() and close(): by that it knows, too, that a lookup is no longer wanted.
  const turns = server as { _listeningId?: number }
  const turn = turns._listeningId
  const family = server instanceof DatagramSocket ? (isV4Only(server) ? 4 : 6) : 0
  const { address } = await lookup(wanted.host ?? '', { family })
  if (turns._listeningId !== turn) throw closedMeanwhile()
  return { ...wanted, host: address }
}
