//! The signals that came, to be read when it suits.

use super::sys::{self, Signal};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{getpid, getsid};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What is caught; all but the first are for the service.
const CAUGHT: [i32; 7] =
    [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

/// Readable while one has come.
pub struct Signals(OwnedFd);

impl Signals {
    /// From now on they are caught. Once in the life of a process.
    pub fn catch() -> io::Result<Signals> {
        let (signals, caught) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        sys::catch(&CAUGHT, caught);
        Ok(Signals(signals))
    }

    /// Those that have come since the last time.
    pub fn take(&self) -> Vec<Signal> {
        let mut signals = Vec::new();
        let mut bytes = [0; 64];
        while let Ok(read @ 1..) = rustix::io::read(&self.0, &mut bytes) {
            let signal = |pair: &[u8]| Signal { number: pair[0].into(), sent: pair[1] != 0 };
            signals.extend(bytes[..read].chunks_exact(2).map(signal));
        }
        signals
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether nobody has sent it to the service already. When a terminal goes away the kernel tells the session's leader only;
/// all else that it sends for a terminal goes to the whole foreground group, the service included.
pub fn is_for_us_alone(signal: Signal) -> bool {
    signal.sent || (signal.number == libc::SIGHUP && getsid(None) == Ok(getpid()))
}
