//! What a launcher reports: one byte for the kind, four of a number, one for the stage.

/// The length of every report on the wire, and so of the buffer for one.
pub const REPORT_LEN: usize = 6;

/// How far the launcher came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading what to start: another release's frame, a cut one, or descriptors missing (too few allowed: EMFILE).
    Start,
    /// Creating the process.
    Fork,
    /// Entering the working directory.
    Cwd,
    /// Placing the descriptors.
    Descriptors,
    /// Executing the program.
    Exec,
}

/// What a launcher reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The process exists and waits; it goes on only once this was sent, so that the old generation can always end it.
    Created {
        /// Its pid.
        pid: u32,
    },
    /// The program runs under this pid.
    Started {
        /// The new generation's pid.
        pid: u32,
    },
    /// Nothing was started.
    Failed {
        /// How far it came.
        stage: Stage,
        /// The system's error number.
        errno: i32,
    },
    /// The new generation exited and was reaped.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended the new generation, which was reaped.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// The new generation lived when the launcher let go of it.
    Released,
}

impl Stage {
    const ALL: [Stage; 5] = [Stage::Start, Stage::Fork, Stage::Cwd, Stage::Descriptors, Stage::Exec];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Start => "start",
            Stage::Fork => "fork",
            Stage::Cwd => "cwd",
            Stage::Descriptors => "descriptors",
            Stage::Exec => "exec",
        }
    }

    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// The stage of that byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Stage::ALL.into_iter().find(|stage| stage.byte() == byte)
    }
}

impl Report {
    /// The report on the wire.
    pub fn encode(self) -> [u8; REPORT_LEN] {
        let (kind, number, stage) = match self {
            Report::Created { pid } => (b'C', pid.cast_signed(), 0),
            Report::Started { pid } => (b'S', pid.cast_signed(), 0),
            Report::Failed { stage, errno } => (b'F', errno, stage.byte()),
            Report::Exited { code } => (b'E', code, 0),
            Report::Signaled { signal } => (b'X', signal, 0),
            Report::Released => (b'R', 0, 0),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [kind, a, b, c, d, stage]
    }

    /// Reads a report; `None` for a kind that this version does not know.
    pub fn decode(bytes: [u8; REPORT_LEN]) -> Option<Self> {
        let [kind, a, b, c, d, stage] = bytes;
        let number = i32::from_le_bytes([a, b, c, d]);
        Some(match kind {
            b'C' => Report::Created { pid: number.cast_unsigned() },
            b'S' => Report::Started { pid: number.cast_unsigned() },
            b'F' => Report::Failed { stage: Stage::from_byte(stage)?, errno: number },
            b'E' => Report::Exited { code: number },
            b'X' => Report::Signaled { signal: number },
            b'R' => Report::Released,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let failed = Stage::ALL.map(|stage| Report::Failed { stage, errno: 2 });
        let others = [
            Report::Created { pid: 1 },
            Report::Started { pid: 4_000_000 },
            Report::Exited { code: 255 },
            Report::Signaled { signal: 9 },
            Report::Released,
        ];
        for report in failed.into_iter().chain(others) {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
    }

    #[test]
    fn an_unknown_kind_or_stage_is_refused() {
        assert_eq!(Report::decode(*b"?12345"), None);
        assert_eq!(Report::decode([b'F', 2, 0, 0, 0, 99]), None);
    }
}
