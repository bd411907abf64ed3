// What is to be known of a 64-bit little-endian ELF file without running it.

const PT_DYNAMIC = 2
const PT_INTERP = 3
const DT_FLAGS_1 = 0x6ffffffbn
const DF_1_NODELETE = 0x8n

/** True if that program asks for a dynamic linker. @param {Buffer} image */
export function hasInterpreter(image) {
  return segments(image).some(({ type }) => type === PT_INTERP)
}

/** True if that library stays in the process once it was loaded. @param {Buffer} image */
export function staysLoaded(image) {
  const dynamic = segments(image).find(({ type }) => type === PT_DYNAMIC)
  if (dynamic === undefined) return false
  return Array.from({ length: dynamic.size / 16 }, (_, index) => dynamic.offset + index * 16).some(
    (entry) => image.readBigUInt64LE(entry) === DT_FLAGS_1 && (image.readBigUInt64LE(entry + 8) & DF_1_NODELETE) !== 0n,
  )
}

/** @param {Buffer} image */
function segments(image) {
  if (image.readUInt32BE(0) !== 0x7f454c46) throw new Error('not an ELF file')
  const table = Number(image.readBigUInt64LE(32))
  const size = image.readUInt16LE(54)
  return Array.from({ length: image.readUInt16LE(56) }, (_, index) => table + index * size).map((header) => ({
    type: image.readUInt32LE(header),
    offset: Number(image.readBigUInt64LE(header + 8)),
    size: Number(image.readBigUInt64LE(header + 32)),
  }))
}
