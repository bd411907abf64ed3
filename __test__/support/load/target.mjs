// What the load is aimed at: the line a program prints when it serves, taken apart.

/**
 * @typedef {object} Target
 * @property {'http' | 'h2' | 'udp'} protocol
 * @property {string} [host]
 * @property {number} [port]
 * @property {string} [path]  of a unix socket
 * @property {Buffer | string} [ca]  TLS, with this authority
 */

/**
 * @param {string} address  `http://host:port`, `https://…`, `h2://…` (over TLS), `udp://…` or `unix:/path`
 * @param {Buffer | string} [ca]
 * @returns {Target}
 */
export function target(address, ca) {
  if (address.startsWith('unix:')) return { protocol: 'http', path: address.slice('unix:'.length) }
  const { protocol, hostname: host, port } = new URL(address)
  switch (protocol) {
    case 'http:':
      return { protocol: 'http', host, port: Number(port) }
    case 'https:':
      return { protocol: 'http', host, port: Number(port), ca }
    case 'h2:':
      return { protocol: 'h2', host, port: Number(port), ca }
    case 'udp:':
      return { protocol: 'udp', host, port: Number(port) }
    default:
      throw new Error(`No client for ${address}: use http, https, h2, udp or unix`)
  }
}
