// Flags that one target of a build must have, beside those that the user has set in the environment.

/**
 * The environment that adds them. Of its sources of flags cargo reads one only, and the first of these that is set, even
 * if it is empty, hides the others.
 *
 * @param {string} target a Rust target, which cargo must be given
 * @param {string[]} flags arguments of rustc
 * @returns {Record<string, string>}
 */
export function rustflags(target, flags) {
  const { CARGO_ENCODED_RUSTFLAGS: encoded, RUSTFLAGS: plain } = process.env
  const joined = (set, separator) => [set, ...flags].filter(Boolean).join(separator)
  if (encoded !== undefined) return { CARGO_ENCODED_RUSTFLAGS: joined(encoded, '\x1f') }
  if (plain !== undefined) return { RUSTFLAGS: joined(plain, ' ') }
  const own = `CARGO_TARGET_${target.toUpperCase().replaceAll('-', '_')}_RUSTFLAGS`
  return { [own]: joined(process.env[own], ' ') }
}
