/** What only root may do: boot a systemd, be another user. Without root these tests are skipped, and say why. */
import { beforeEach } from 'vitest'

/** Whether this process is root. */
export const isRoot = process.getuid?.() === 0

/** For each test of a file, or of the `describe` that calls it. */
export function needsRoot(): void {
  beforeEach(({ skip }) => skip(!isRoot, 'needs root'))
}
