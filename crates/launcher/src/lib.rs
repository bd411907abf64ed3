//! What the old generation and its launcher say to each other, over a stream socket that is the launcher's stdin.
//!
//! The old one sends one [`Start`] (a [`Header`], the payload, and every descriptor as SCM_RIGHTS with its first
//! bytes), then [`Command`]s of one byte. The launcher answers with [`Report`]s; `Created` carries a pidfd where the
//! kernel has them. End of file from the old one means that it died: the launcher lets go of the new generation.
//! A report other than `Created` and `Started` is the launcher's last. Numbers are little-endian.

mod report;
mod start;

pub use report::{REPORT_LEN, Report, Stage};
pub use start::{HEADER_LEN, Header, Start, Variable};

/// The version of this protocol. A launcher file of another release refuses to start anything.
pub const VERSION: u8 = 1;

/// The most descriptors a START may carry, the first three included: one message of SCM_RIGHTS takes 253.
pub const MAX_DESCRIPTORS: usize = 250;

/// The longest START payload in bytes. The kernel accepts at most 6 MiB of arguments and environment.
pub const MAX_START: usize = 8 << 20;

/// What in a pid-bound value becomes the new generation's pid.
pub const PID_PLACEHOLDER: &[u8] = b"{pid}";

/// What the old generation asks of a launcher that has its START.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Kill the new generation, reap it and report its end.
    Kill = b'K' as isize,
    /// Report its end if it has ended; else report `Released` and leave it alone.
    Release = b'R' as isize,
}

impl Command {
    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// The command of that byte; `None` for one this version does not know.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Command::Kill, Command::Release].into_iter().find(|command| command.byte() == byte)
    }
}
