// What is to be known of a Mac's 64-bit file without running it.

const MAGIC = 0xfeedfacf
const HEADER_SIZE = 32
const processors = { 16777223: 'x64', 16777228: 'arm64' }
const types = { 2: 'program', 6: 'library', 8: 'library' }

const LC_LOAD_DYLIB = 0xc
const LC_CODE_SIGNATURE = 0x1d
const LC_VERSION_MIN_MACOSX = 0x24
const LC_BUILD_VERSION = 0x32

/**
 * Reads the header and the load commands. Throws if it is something else.
 *
 * @param {Buffer} image
 * @returns {{ arch?: string, type?: string, needed: string[], signed: boolean, macos: string }} arch and type are
 *   undefined if they are none of ours; needed: paths of libraries; macos: the oldest release it asks for
 */
export function machO(image) {
  if (image.length < HEADER_SIZE || image.readUInt32LE(0) !== MAGIC) throw new Error('it is not a 64-bit Mach-O file')
  const commands = loadCommands(image)
  const of = (wanted) => commands.filter(({ kind }) => kind === wanted).map(({ body }) => body)
  const [oldest] = [...of(LC_BUILD_VERSION).map((body) => body.subarray(4)), ...of(LC_VERSION_MIN_MACOSX)]
  return {
    arch: processors[image.readUInt32LE(4)],
    type: types[image.readUInt32LE(12)],
    // The offset of the name counts from the start of the command, which is 8 bytes before its body.
    needed: of(LC_LOAD_DYLIB).map((body) => body.toString('latin1', body.readUInt32LE(0) - 8).replace(/\0.*$/s, '')),
    signed: of(LC_CODE_SIGNATURE).length > 0,
    macos: oldest === undefined ? '0' : `${oldest.readUInt16LE(2)}.${oldest.readUInt8(1)}`,
  }
}

/** @param {Buffer} image */
function loadCommands(image) {
  const commands = []
  let at = HEADER_SIZE
  for (let left = image.readUInt32LE(16); left > 0; left--) {
    const size = image.readUInt32LE(at + 4)
    commands.push({ kind: image.readUInt32LE(at), body: image.subarray(at + 8, at + size) })
    at += size
  }
  return commands
}
