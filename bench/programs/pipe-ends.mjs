// Both ends of a stream of MEGABYTES, for pipe-plain.mjs and pipe-service.mjs alike.
import { once } from 'node:events'

const CHUNK = Buffer.alloc(65_536, 'shellflip')
const CHUNKS = Number(process.env.MEGABYTES) * 16
/** Not counted: what one pipe holds before anybody reads, and another does not, and what is run for the first time. */
const WARM_UP = 16 * 2 ** 20

const spentSince = (before) => {
  const { user, system } = process.cpuUsage(before)
  return `${((user + system) / 1e3).toFixed(1)} ms of processor time`
}

export async function write(stream) {
  const before = process.cpuUsage()
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    if (!stream.write(CHUNK)) await once(stream, 'drain')
  }
  // Standard output may be the stream itself.
  console.error(`sent in ${spentSince(before)}`)
}

export async function read(stream) {
  let bytes = 0
  let counted = 0
  let begun = 0
  let before
  for await (const chunk of stream) {
    bytes += chunk.length
    if (before) counted += chunk.length
    else if (bytes >= WARM_UP) {
      before = process.cpuUsage()
      begun = performance.now()
    }
  }
  const ms = performance.now() - begun
  const spent = spentSince(before)
  if (bytes !== CHUNKS * CHUNK.length) throw new Error(`received ${bytes} bytes, not ${CHUNKS * CHUNK.length}`)
  console.log(`received at ${(counted / 1e3 / ms).toFixed(1)} MB/s in ${spent}`)
}
