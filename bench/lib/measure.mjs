// A row of the result: samples of both sides taken in turns in one run, their medians and spread, and the budget.

/** @param {number[]} samples */
export function summary(samples) {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const median = (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2
  return { median, min: sorted[0], max: sorted.at(-1), n: sorted.length }
}

/**
 * @typedef {object} Budget
 * @property {'ratio' | 'difference' | 'median' | 'max'} of  ours over or less the other, our median, our worst
 * @property {number} [atMost]
 * @property {number} [atLeast]
 */

/**
 * Ratio and difference are medians over the rounds, each round's two samples compared with one another: what slows down
 * the machine for a while slows down both.
 * @param {object} measured
 * @param {string} measured.what
 * @param {string} measured.unit
 * @param {number[]} measured.ours
 * @param {string} [measured.against]  what the other side is
 * @param {number[]} [measured.other]  as many samples, of the same rounds
 * @param {Budget} [measured.budget]  none: for comparison only
 */
export function row({ what, unit, ours, against, other, budget }) {
  const mine = summary(ours)
  const paired = (compare) => other && summary(ours.map((sample, round) => compare(sample, other[round])))
  const ratio = paired((a, b) => a / b)
  const difference = paired((a, b) => a - b)
  const base = { what, unit, ours: mine, against, other: other && summary(other), ratio, difference }
  if (!budget) return base
  const value = { ratio: ratio?.median, difference: difference?.median, median: mine.median, max: mine.max }[budget.of]
  const { atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY } = budget
  return { ...base, budget, value, pass: value <= atMost && value >= atLeast }
}

/** Runs each side once per round, the order reversed every other round. */
export async function alternate(rounds, sides) {
  const samples = Object.fromEntries(Object.keys(sides).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const names = Object.keys(sides)
    for (const name of round % 2 === 0 ? names : names.reverse()) samples[name].push(await sides[name]())
  }
  return samples
}
