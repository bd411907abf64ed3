//! A duration as people say it.

/// `0.4s`, `12s`, `4m 3s`, `2h 5m`, `3d 4h`.
pub fn of(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..10 => format!("{seconds}.{}s", ms % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ages_have_two_units_at_most() {
        let cases = [
            (0, "0.0s"),
            (9_999, "9.9s"),
            (12_345, "12s"),
            (243_000, "4m 3s"),
            (7_500_000, "2h 5m"),
            (273_600_000, "3d 4h"),
        ];
        for (ms, text) in cases {
            assert_eq!(super::of(ms), text);
        }
    }
}
