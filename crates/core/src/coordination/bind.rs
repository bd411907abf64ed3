//! The path of the coordination socket: it appears atomically, already listening and 0600, or not at all. A live
//! process's is never taken; a dead one's is replaced. All of it happens under a lock of the directory, so that two
//! starters cannot both win.

use super::place::{Place, identity, temporary_of};
use super::probe::{Probe, probe};
use super::{BACKLOG, path};
use crate::{Code, Failure};
use socket2::{SockAddr, SockRef};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another starter may hold the directory's lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A listening coordination socket that this process holds. Dropping it closes the descriptor and leaves the path.
#[derive(Debug)]
pub struct Bound {
    fd: OwnedFd,
    path: PathBuf,
    /// Device and inode of the file as it was when the socket became ours.
    identity: Option<(u64, u64)>,
}

/// Creates the coordination socket at `path`.
///
/// # Errors
/// `SOCKET_IN_USE` with the pid of the live process that has it; `INVALID_ARG` for a path that is too long, a symlink,
/// not a socket, or in a directory that anyone may write to; else the system's error, with errno and syscall.
/// Nothing is left behind.
pub fn bind(path: &Path) -> Result<Bound, Failure> {
    bind_within(path, LOCK_TIMEOUT)
}

fn bind_within(path: &Path, patience: Duration) -> Result<Bound, Failure> {
    let path = path::checked(path)?;
    let place = Place::locked(&path, patience)?;
    place.refuse_the_taken()?;
    place.sweep();
    let (fd, identity) = place.listen()?;
    Ok(Bound { fd, path, identity: Some(identity) })
}

/// Takes over a coordination socket that the old generation listens on. Without `path`, the kernel is asked for it.
///
/// # Errors
/// `INHERITANCE` if `fd` is not a listening unix socket.
pub fn adopt(fd: OwnedFd, path: Option<PathBuf>) -> Result<Bound, Failure> {
    let socket = SockRef::from(&fd);
    let address = socket.local_addr().ok().filter(SockAddr::is_unix);
    let listening = crate::listener::listens(fd.as_fd());
    let (Some(address), true) = (address, listening) else {
        let text = "the inherited coordination socket is not a listening unix socket: something between the \
                    generations changed the descriptors; start the service anew";
        return Err(Failure::new(Code::Inheritance, text));
    };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).map_err(|e| Failure::system("fcntl", &e.into()))?;
    socket.set_nonblocking(true).map_err(|e| Failure::system("fcntl", &e))?;
    let path = path.or_else(|| address.as_pathname().map(final_path)).unwrap_or_default();
    let identity = identity(&path);
    Ok(Bound { fd, path, identity })
}

impl Bound {
    /// A duplicate for the next generation.
    ///
    /// # Errors
    /// Those of `dup`.
    pub fn share(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }

    /// Where clients find it; empty if an inherited socket has no name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file under the path is still this socket's, as far as device and inode tell.
    pub fn in_place(&self) -> bool {
        self.identity.is_some() && identity(&self.path) == self.identity
    }

    /// Whether clients reach this process under the path. An inode number is soon used again, so the kernel is asked who
    /// listens there. To be called by the generation that answers: it becomes the one that the kernel names.
    pub fn is_reached(&mut self) -> bool {
        if self.in_place() && self.is_ours() == Some(false) {
            self.identity = None;
        }
        self.in_place()
    }

    /// `None`: it cannot be found out.
    fn is_ours(&self) -> Option<bool> {
        match rustix::net::listen(&self.fd, BACKLOG).map(|()| probe(&self.path)) {
            Ok(Probe::Live(Some(pid))) => Some(pid == std::process::id()),
            Ok(Probe::Live(None)) => Some(true),
            Ok(Probe::Dead | Probe::Absent) => Some(false),
            Ok(Probe::Unknown(_)) | Err(_) => None,
        }
    }

    /// Another socket under the path, where the file of this one is gone: the kernel gives a socket no second name. It
    /// does not wait for the directory's lock. `derived`: a directory that [`super::default_path`] had made is made
    /// again; any other is its owner's to make.
    ///
    /// # Errors
    /// As [`bind`]; another live process's socket is never taken.
    pub fn renewed(&self, derived: bool) -> Result<Bound, Failure> {
        if !self.path.is_absolute() {
            let text = format!("coordination socket '{}': its path is not known", self.path.display());
            return Err(Failure::new(Code::InvalidArg, text));
        }
        if derived {
            path::restore_directory(&self.path)?;
        }
        bind_within(&self.path, Duration::ZERO)
    }

    /// Closes the socket and removes its path, if it is still ours; true if it was removed. Call it only where the
    /// service ends: a new generation shares the path.
    pub fn unlink(self) -> bool {
        let Ok(place) = Place::locked(&self.path, LOCK_TIMEOUT) else { return false };
        self.in_place() && self.is_ours() == Some(true) && place.unlink()
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The kernel remembers the temporary name under which a socket was bound; this is where it went.
fn final_path(bound: &Path) -> PathBuf {
    let name = bound.file_name().and_then(temporary_of);
    match name.map(|name| bound.with_file_name(name)) {
        Some(renamed) if !bound.exists() => renamed,
        _ => bound.to_owned(),
    }
}
