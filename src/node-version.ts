/** Refuses a Node that is too old, before anything else is loaded: the rest would fail with an error that does not say why. */
import { ShellflipError } from './errors'

/** As `engines` of package.json has it; a test compares them. */
export const OLDEST = [20, 19] as const

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const tooOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])

// Bun and Deno name the Node they resemble, which says nothing of what they have.
if (tooOld && !('Bun' in globalThis) && !('Deno' in globalThis)) {
  throw new ShellflipError(
    'ERR_SHELLFLIP_UNSUPPORTED',
    `@shellflip/node needs Node >= ${OLDEST.join('.')}, and this is ${process.versions.node} (${process.execPath}): ` +
      'run the service with a newer Node',
  )
}
