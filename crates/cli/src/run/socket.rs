//! Where the generations speak: an abstract unix socket whose name the kernel chooses (autobind, unix(7)), so that there
//! is no file to leave behind and no name to be taken by somebody else.

use super::sys::{self, Datagram};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// More than any message has; a longer one is cut, which at worst loses its last line.
const LONGEST: usize = 4096;

/// More messages than a queue holds (net.unix.max_dgram_qlen): whoever fills it without end does not keep us from the rest.
pub const MOST_MESSAGES: u32 = 4096;

/// The socket that our generations know as `NOTIFY_SOCKET`.
pub struct NotifySocket {
    socket: OwnedFd,
    name: String,
}

impl NotifySocket {
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        sockopt::set_socket_passcred(&socket, true)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed())?;
        let address = SocketAddrUnix::try_from(rustix::net::getsockname(&socket)?)?;
        // Five hexadecimal digits.
        let name = address.abstract_name().map(String::from_utf8_lossy).ok_or(Errno::ADDRNOTAVAIL)?;
        let name = format!("@{name}");
        Ok(NotifySocket { socket, name })
    }

    /// As it stands in `NOTIFY_SOCKET`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next message, if there is one.
    pub fn receive(&self) -> Option<(Datagram, String)> {
        let mut bytes = [0; LONGEST];
        loop {
            match sys::receive(&self.socket, &mut bytes) {
                Ok(datagram) => {
                    let text = String::from_utf8_lossy(&bytes[..datagram.length]).into_owned();
                    return Some((datagram, text));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
