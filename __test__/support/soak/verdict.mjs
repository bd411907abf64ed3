// What a soak found, and whether that is nothing. Pure.

/** Growth of the resident memory at rest that is noise: generations differ by 2 % either way. */
const NOISE = 1.05

/**
 * The figures after some restarts. `answered`, `failed`, `loadedRss`, `draining` and `restartMs` are of the restarts since
 * the row before; the rest is of the generation that serves, at rest: no client, no work beside it.
 * @typedef {object} Row
 * @property {number} restarts  so far
 * @property {number} answered
 * @property {number} failed
 * @property {{ kind: string, client: string, message: string }[]} details  of the first failures
 * @property {Record<string, number>} descriptors  by kind
 * @property {number} rss  bytes, after a garbage collection
 * @property {number} loadedRss  bytes: the median of the generations, each just before it was replaced
 * @property {number} zombies  of the whole service
 * @property {number} processes  of the service; more than one: something is left
 * @property {number} draining  old generations alive at once, at most
 * @property {number[]} restartMs
 */

/** @param {number[]} samples */
export function median(samples) {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** @param {Record<string, number>} kinds */
export const total = (kinds) => Object.values(kinds).reduce((sum, count) => sum + count, 0)

/** @param {Row[]} rows @returns {string[]} what was lost, grew or is left, in words */
export function problemsOf(rows) {
  const problems = []
  const [first] = rows
  if (!first) return ['nothing was measured']
  for (const { restarts, failed, details, zombies, processes, descriptors } of rows) {
    const after = `after ${restarts} restarts`
    if (failed > 0) problems.push(`${failed} requests failed in the restarts up to number ${restarts}`)
    for (const { client, kind, message } of details) problems.push(`${client}: ${kind}: ${message}`)
    if (zombies > 0) problems.push(`${zombies} zombies ${after}`)
    if (processes !== 1) problems.push(`${processes} processes instead of one ${after}`)
    const differences = difference(first.descriptors, descriptors)
    if (differences.length > 0) problems.push(`other descriptors ${after}: ${differences.join(', ')}`)
  }
  const grown = rows.at(-1)
  if (grown && grown.rss > first.rss * NOISE) {
    problems.push(`resident memory grew from ${megabytes(first.rss)} to ${megabytes(grown.rss)}`)
  }
  return problems
}

/** @param {number} bytes */
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`

/** @param {Record<string, number>} before @param {Record<string, number>} after @returns {string[]} */
function difference(before, after) {
  const kinds = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return kinds
    .map((kind) => /** @type {const} */ ([kind, before[kind] ?? 0, after[kind] ?? 0]))
    .filter(([, then, now]) => then !== now)
    .map(([kind, then, now]) => `${kind} ${now} instead of ${then}`)
}
