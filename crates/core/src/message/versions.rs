//! Which versions of the channel two generations can have in common.

use std::fmt;

/// The versions that a generation understands: from `oldest` to `newest`, which it says in its hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The version it speaks; written into `SHELLFLIP_CHANNEL`, too.
    pub newest: u32,
    /// The oldest version it still understands.
    pub oldest: u32,
}

impl Versions {
    /// Those of this build.
    pub const BUILD: Versions = Versions { newest: 1, oldest: 1 };

    /// Whether there is a version that both sides understand.
    pub fn meet(self, other: Versions) -> bool {
        self.newest >= other.oldest && other.newest >= self.oldest
    }
}

impl Default for Versions {
    fn default() -> Self {
        Versions::BUILD
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.newest == self.oldest {
            true => write!(f, "version {}", self.newest),
            false => write!(f, "versions {} to {}", self.oldest, self.newest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(oldest: u32, newest: u32) -> Versions {
        Versions { newest, oldest }
    }

    #[test]
    fn two_generations_meet_where_both_understand_a_version_whichever_is_asked() {
        for (one, other, meet) in [
            (versions(1, 1), versions(1, 1), true),
            (versions(1, 1), versions(1, 2), true),
            (versions(1, 3), versions(2, 2), true),
            (versions(1, 1), versions(2, 2), false),
            (versions(1, 2), versions(3, 4), false),
        ] {
            assert_eq!((one.meet(other), other.meet(one)), (meet, meet), "{one} and {other}");
        }
    }
}
