//! What Linux does in one call and a Mac in several. All of it is the same to whoever calls.

use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// How to send to a side that may be gone: its death is an error, not a signal. Elsewhere [`quiet`] sees to that.
#[cfg(target_os = "linux")]
pub(crate) const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(not(target_os = "linux"))]
pub(crate) const SEND: SendFlags = SendFlags::empty();

/// How to receive descriptors. Elsewhere [`close_on_exec`] completes it.
#[cfg(target_os = "linux")]
pub(crate) const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
pub(crate) const RECEIVE: RecvFlags = RecvFlags::empty();

/// Makes writing to a side that is gone an error, not a signal; for as long as the socket lives, whoever holds it.
pub(crate) fn quiet(socket: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(target_vendor = "apple")]
    rustix::net::sockopt::set_socket_nosigpipe(socket, true)?;
    let _ = socket;
    Ok(())
}

/// Keeps a descriptor that was received just now from programs that are started later. A Mac's libuv hands on nothing
/// that it was not told to (POSIX_SPAWN_CLOEXEC_DEFAULT), so that none is lost in between.
pub(crate) fn close_on_exec(received: &OwnedFd) -> io::Result<()> {
    #[cfg(not(target_os = "linux"))]
    rustix::io::fcntl_setfd(received, rustix::io::FdFlags::CLOEXEC)?;
    let _ = received;
    Ok(())
}

/// Lets a pipe hold more, where that can be said; it is only faster.
pub(crate) fn enlarge(pipe: &OwnedFd, bytes: usize) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, bytes);
    let _ = (pipe, bytes);
}
