//! Telling the service manager (sd_notify): in the process itself, since only the main process may speak.
//!
//! Without `NOTIFY_SOCKET` nothing is done, successfully. No call waits longer than it says. Not the crate `sd-notify`
//! (looked at: 0.5.0): it blocks for as long as the manager's queue is full, takes an abstract socket (`@name`, systemd in
//! containers) for the path of a file, reads the environment at every message, and cannot wait for a `BARRIER`.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The process of the generation that is being started: 0 before there is one, empty once there is none any more. For `shellflip run`, which lets
/// that one go on if the old one dies; sd_notify(3) leaves names with `X_` to programs, and systemd ignores them.
pub const NEXT: &str = "X_SHELLFLIP_NEXT";

/// How long a full queue of the service manager may hold us up.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);
/// As many descriptors as one message may carry; the kernel's limit is 253.
const MOST_DESCRIPTORS: usize = 64;

/// The way to the service manager, if there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notifier {
    socket: Option<PathBuf>,
}

impl Notifier {
    /// From `NOTIFY_SOCKET`, which stays in the environment: it is the next generation's, too.
    pub fn from_env() -> Self {
        Self::new(std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from))
    }

    /// To the socket of that name, as `NOTIFY_SOCKET` has it: an absolute path, or `@` and an abstract name.
    pub fn new(socket: Option<PathBuf>) -> Self {
        Notifier { socket: socket.filter(|socket| !socket.as_os_str().is_empty()) }
    }

    /// Whether there is a service manager to tell.
    pub fn present(&self) -> bool {
        self.socket.is_some()
    }

    /// Sends one message, such as `READY=1` or several assignments on lines of their own.
    ///
    /// # Errors
    /// The system's; `WouldBlock` if the service manager did not make room within 100 ms; `Unsupported` for a
    /// `NOTIFY_SOCKET` that is no unix socket.
    pub fn send(&self, state: &str) -> io::Result<()> {
        self.send_with(state, &[])
    }

    /// Sends one message with descriptors, such as `FDSTORE=1` and `FDNAME=…`. At most 64.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_with(&self, state: &str, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let Some(name) = &self.socket else { return Ok(()) };
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        socket.connect(&address(name)?)?;

        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fit = fds.len() <= MOST_DESCRIPTORS;
        if !fit || (!fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds))) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors in one message"));
        }
        loop {
            match sendmsg(&socket, &[IoSlice::new(state.as_bytes())], &mut control, SendFlags::empty()) {
                Err(Errno::INTR) => {}
                other => return Ok(other.map(drop)?),
            }
        }
    }

    /// Waits until the service manager has dealt with all that was sent before.
    ///
    /// # Errors
    /// As `send`; `TimedOut` if it does not answer in time. Blocks: not for a thread with other things to do.
    pub fn barrier(&self, timeout: Duration) -> io::Result<()> {
        if !self.present() {
            return Ok(());
        }
        let deadline = Instant::now() + timeout;
        let (ours, theirs) = io::pipe()?;
        self.send_with("BARRIER=1", &[theirs.as_fd()])?;
        drop(theirs);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = left.try_into().map_err(|_| io::Error::from(Errno::INVAL))?;
            // No events asked for: the hang-up, when the manager closes its end, comes in any case.
            match poll(&mut [PollFd::new(&ours, PollFlags::empty())], Some(&wait)) {
                Ok(0) if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn address(name: &std::path::Path) -> io::Result<SockAddr> {
    let text = name.to_string_lossy();
    match text.strip_prefix('@') {
        Some(rest) if cfg!(target_os = "linux") => SockAddr::unix(format!("\0{rest}")),
        None if name.is_absolute() => SockAddr::unix(name),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("NOTIFY_SOCKET is '{text}'; only an absolute path and @name are supported"),
        )),
    }
}

#[cfg(test)]
mod tests;
