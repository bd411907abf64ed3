/** What is to be known of a program without running it. */

const PT_INTERP = 3

/** True if that 64-bit little-endian ELF program asks for a dynamic linker. */
export function hasInterpreter(image: Buffer): boolean {
  if (image.readUInt32BE(0) !== 0x7f454c46) throw new Error('not an ELF file')
  const table = Number(image.readBigUInt64LE(32))
  const size = image.readUInt16LE(54)
  const count = image.readUInt16LE(56)
  return Array.from({ length: count }, (_, index) => image.readUInt32LE(table + index * size)).includes(PT_INTERP)
}
