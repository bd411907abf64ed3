//! Is anybody listening behind a path, and who? Asked by connecting: the answer is the kernel's, not a file's.

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::path::Path;

/// What a connection attempt tells about a socket path.
#[derive(Debug)]
pub enum Probe {
    /// A process listens there; its pid, where the kernel tells (not across pid namespaces).
    Live(Option<u32>),
    /// A socket file that nobody listens on.
    Dead,
    /// Nothing is there.
    Absent,
    /// It could not be found out: no permission, not a socket, a path too long.
    Unknown(io::Error),
}

/// Connects to `path` without waiting, looks who listens, and hangs up.
pub fn probe(path: &Path) -> Probe {
    match connect(path) {
        Ok(socket) => Probe::Live(listener_pid(&socket)),
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            // Its queue is full: somebody keeps it.
            Some(Errno::AGAIN) => Probe::Live(None),
            Some(Errno::CONNREFUSED) => Probe::Dead,
            Some(Errno::NOENT) => Probe::Absent,
            _ => Probe::Unknown(error),
        },
    }
}

fn connect(path: &Path) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&address)?;
    Ok(socket)
}

/// The process that last called listen(2) on the other end.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn listener_pid(socket: &Socket) -> Option<u32> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    use std::os::fd::AsRawFd;
    // Not rustix: its type cannot hold pid 0, which is what another pid namespace looks like.
    let credentials = getsockopt(socket.as_raw_fd(), PeerCredentials).ok()?;
    u32::try_from(credentials.pid()).ok().filter(|&pid| pid != 0)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn listener_pid(_: &Socket) -> Option<u32> {
    None
}
