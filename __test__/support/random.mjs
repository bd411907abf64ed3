/** xorshift32: whole numbers below a limit, the same for the same seed. */
export function generator(seed) {
  let state = seed >>> 0 || 1
  return (limit) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}
