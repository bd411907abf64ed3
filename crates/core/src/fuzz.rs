//! What must hold for any bytes that another process may send: one function for each reader, which panics where it does
//! not. `cargo test` gives them random bytes for a moment, `npm run fuzz` lets coverage choose the bytes, for longer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "to panic is to find something")]

mod channel;
mod environment;
mod frames;
mod launcher;

pub use channel::channel;
pub use environment::environment;
pub use frames::frames;
pub use launcher::launcher;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..300)
    }

    /// Bytes that get further than most: parts of what each reader understands, in any order, with noise between.
    fn likely_bytes(parts: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            6 => proptest::sample::select(parts).prop_map(<[u8]>::to_vec),
            1 => proptest::collection::vec(any::<u8>(), 0..6),
        ];
        proptest::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    const FRAMES: &[&[u8]] = &[
        &[7],
        &[0, 0, 0, 24],
        br#"{"Request":"TryRestart"}"#,
        &[0, 0, 0, 20],
        br#"{"Request":"Status"}"#,
        &[0, 1, 0, 1],
        &[0xff, 0xff, 0xff, 0xff],
        br#"{"Response":{"RestartComplete":1}}"#,
        br#"{"Response":{"RestartFailed":"ERR_SHELLFLIP_DRAINING: x"}}"#,
        br#"{"Response":{"Status":{}}}"#,
    ];
    const CHANNEL: &[&[u8]] = &[
        &[3],
        &[0, 0, 0, 0, 3, 0],
        &[0, 0, 0, 0, 5, 2],
        &[0, 0, 0, 2, 7, 0, b'n', b'o'],
        &[0, 0, 0, 2, 200, 255, 1, 2],
        &[0, 0, 0, 44, 1, 0],
        br#"{"version":1,"min":1,"pid":7,"generation":3}"#,
        &[0xff, 0xff, 0xff, 0xff, 1, 0],
    ];
    const VARIABLES: &[&[u8]] =
        &[b"\0", b"-\0", b"$w", b"$r", b"$c", b"$l", b"$t", b"$p", b"1:", b":", b"2", b"7", b"auto"];
    const START: &[&[u8]] =
        &[&[1, 3], &[4, 0, 0, 0], b"node", &[1, 0, 0, 0], &[0, 0, 0, 0], &[0xff, 0xff, 0xff, 0xff], b"S", b"F"];

    proptest! {
        #[test]
        fn any_bytes_on_the_coordination_socket(bytes in prop_oneof![any_bytes(), likely_bytes(FRAMES)]) {
            super::frames(&bytes);
        }

        #[test]
        fn any_bytes_on_the_channel(bytes in prop_oneof![any_bytes(), likely_bytes(CHANNEL)]) {
            super::channel(&bytes);
        }

        #[test]
        fn any_variables(bytes in prop_oneof![any_bytes(), likely_bytes(VARIABLES)]) {
            super::environment(&bytes);
        }

        #[test]
        fn any_bytes_between_the_old_generation_and_its_launcher(bytes in prop_oneof![any_bytes(), likely_bytes(START)]) {
            super::launcher(&bytes);
        }
    }
}
