// What the README's table says of Node; bun.test.ts and deno.test.ts do the same, and load.test.ts has dgram.
import { it } from 'vitest'
import { expectEveryServer } from './support/every-server'

it('servers of net, tls, http, https and http2, over TCP and unix sockets, are handed on', async () => {
  await expectEveryServer()
})
