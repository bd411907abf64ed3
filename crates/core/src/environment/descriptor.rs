//! What lies behind a number, found out without changing or owning it.

use crate::listener::{Address, listens};
use crate::sys;
use rustix::fs::{FileType, OFlags};
use rustix::net::{AddressFamily, SocketType, sockopt};
use socket2::SockRef;
use std::os::fd::{BorrowedFd, RawFd};
use std::str::FromStr;

/// What a descriptor is to be.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A pipe to write to.
    WritableFifo,
    /// A pipe to read from.
    ReadableFifo,
    /// A unix stream socket that listens.
    ListeningUnix,
    /// A unix stream socket with a peer, dead or alive.
    ConnectedUnix,
    /// Any socket that the service can listen with.
    Listener,
}

/// Plain decimal digits only: no sign, no blanks.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Whether anything is open under the number.
pub(super) fn is_open(fd: RawFd) -> bool {
    sys::with_borrowed(fd, |fd| rustix::io::fcntl_getfd(fd).is_ok()).unwrap_or(false)
}

/// Whether the other end of that pipe is open in this process as well.
pub(super) fn has_other_end(fd: RawFd) -> bool {
    let end = |fd| sys::with_borrowed(fd, pipe_end).flatten();
    let numbers: Vec<RawFd> = match std::fs::read_dir("/dev/fd") {
        Ok(entries) => entries.flatten().filter_map(|entry| number(entry.file_name().to_str()?)).collect(),
        Err(_) => (0..1024).collect(),
    };
    let other = |this: &PipeEnd| numbers.iter().filter_map(|&fd| end(fd)).any(|it| it.0 == this.0 && it.1 != this.1);
    end(fd).is_some_and(|this| other(&this))
}

/// Device and inode of the pipe, and how it was opened.
type PipeEnd = ((u64, u64), OFlags);

#[allow(clippy::unnecessary_cast, reason = "st_dev is narrower elsewhere")]
fn pipe_end(fd: BorrowedFd<'_>) -> Option<PipeEnd> {
    let stat = rustix::fs::fstat(fd).ok()?;
    let flags = rustix::fs::fcntl_getfl(fd).ok()?;
    let fifo = FileType::from_raw_mode(stat.st_mode) == FileType::Fifo;
    fifo.then_some(((stat.st_dev as u64, stat.st_ino), flags & OFlags::ACCMODE))
}

/// Looks, and says what is wrong.
pub(super) fn check(fd: RawFd, kind: Kind) -> Result<(), String> {
    if fd < 3 {
        return Err("is a standard stream".into());
    }
    sys::with_borrowed(fd, |fd| look(fd, kind)).unwrap_or_else(|| Err("is not open".into()))
}

fn look(fd: BorrowedFd<'_>, kind: Kind) -> Result<(), String> {
    let stat = rustix::fs::fstat(fd).map_err(|_| "is not open")?;
    let actual = FileType::from_raw_mode(stat.st_mode);
    let right = match kind {
        Kind::WritableFifo => actual == FileType::Fifo && opened_for(fd, OFlags::WRONLY),
        Kind::ReadableFifo => actual == FileType::Fifo && opened_for(fd, OFlags::RDONLY),
        Kind::ListeningUnix => actual == FileType::Socket && is_unix_stream(fd) && listens(fd),
        Kind::ConnectedUnix => actual == FileType::Socket && is_unix_stream(fd) && !listens(fd) && has_peer(fd),
        Kind::Listener => return Address::of_listening(fd).map(drop).map_err(|error| format!("is {error}")),
    };
    if right { Ok(()) } else { Err(format!("is not {}", kind.name())) }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::WritableFifo => "a pipe to write to",
            Kind::ReadableFifo => "a pipe to read from",
            Kind::ListeningUnix => "a listening unix socket",
            Kind::ConnectedUnix => "a connected unix socket",
            Kind::Listener => "a listening socket",
        }
    }
}

fn opened_for(fd: BorrowedFd<'_>, access: OFlags) -> bool {
    rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| {
        let opened = flags & OFlags::ACCMODE;
        opened == access || opened == OFlags::RDWR
    })
}

fn is_unix_stream(fd: BorrowedFd<'_>) -> bool {
    let family = rustix::net::getsockname(fd).map(|name| name.address_family());
    family == Ok(AddressFamily::UNIX) && sockopt::socket_type(fd) == Ok(SocketType::STREAM)
}

fn has_peer(fd: BorrowedFd<'_>) -> bool {
    SockRef::from(&fd).peer_addr().is_ok()
}
