// Both ends of a stream of MEGABYTES, for pipe-plain.mjs and pipe-service.mjs alike.
import { once } from 'node:events'

const CHUNK = Buffer.alloc(65_536, 'shellflip')
const CHUNKS = Number(process.env.MEGABYTES) * 16

export async function write(stream) {
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    if (!stream.write(CHUNK)) await once(stream, 'drain')
  }
}

export async function read(stream) {
  let bytes = 0
  let first = 0
  let begun = 0
  for await (const chunk of stream) {
    if (bytes === 0) {
      first = chunk.length
      begun = performance.now()
    }
    bytes += chunk.length
  }
  if (bytes !== CHUNKS * CHUNK.length) throw new Error(`received ${bytes} bytes, not ${CHUNKS * CHUNK.length}`)
  console.log(`received at ${((bytes - first) / 1e3 / (performance.now() - begun)).toFixed(1)} MB/s`)
}
