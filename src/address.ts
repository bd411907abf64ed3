/** Where a claimed socket listens, and whether a server really listens there. */
import { type AddressInfo, isIPv6 } from 'node:net'
import { ShellflipError } from './errors'

/** What a claim is about, as far as adoption needs it. */
export interface Claimed {
  fd: number
  address: { kind: 'tcp' | 'udp' | 'unix'; host?: string; port?: number; path?: string }
}

/** The address of a claimed socket, as a server would tell it. */
export function expected({ address }: Claimed): AddressInfo | string {
  if (address.path !== undefined) return address.path
  const { host = '', port = 0 } = address
  return { address: host, family: isIPv6(host) ? 'IPv6' : 'IPv4', port }
}

/** Some runtimes ignore a descriptor and listen elsewhere: the address tells. Throws LISTENER. */
export function verify(real: AddressInfo | string | null, claimed: Claimed): void {
  const want = expected(claimed)
  if (typeof want === 'string' ? real === want : isSame(real, want)) return
  throw new ShellflipError(
    'ERR_SHELLFLIP_LISTENER',
    `listen: the server listens at ${print(real)} and not at ${print(want)}: this runtime ignored the descriptor it was given. ` +
      'Run the service under Node.js',
  )
}

function isSame(real: AddressInfo | string | null, want: AddressInfo): boolean {
  if (typeof real === 'string' || real === null || real.port !== want.port) return false
  return real.address === want.address || unscoped(real.address) === unscoped(want.address)
}

/** `fe80::1%eth0` is `fe80::1`. */
function unscoped(address: string): string {
  return address.replace(/%.*$/, '')
}

function print(address: AddressInfo | string | null): string {
  if (address === null) return 'no address'
  return typeof address === 'string' ? address : `${address.address} port ${address.port}`
}
