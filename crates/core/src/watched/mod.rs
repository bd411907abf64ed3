//! A socket that a JavaScript runtime watches in its own event loop, and how it is made to look away.
//!
//! Bun has no call to open a listener without accepting, and its HTTP servers take no descriptor at all. What it keeps of
//! a socket is a number and a registration with epoll(7), and both can be had: the registration is removed and put back
//! as it was (pause, resume), and the number is made to mean another socket (graft). Whatever does not look exactly as
//! expected is refused before anything is changed.
//!
//! A registration holds a pointer of the runtime's, which is dead once the runtime has closed the socket: it is put back
//! only while the number still means the socket that was found.

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod epoll;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

use crate::listener::{Address, listens};
use crate::{Code, Failure, sys};
use epoll::Registration;
use socket2::{SockAddr, SockRef};
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, RawFd};

/// A socket in the event loop of the runtime that owns it. Dropping this changes nothing.
#[derive(Debug)]
pub struct Watched {
    registration: Registration,
    inode: u64,
    name: SockAddr,
    paused: bool,
}

impl Watched {
    /// Finds how the runtime watches the socket behind `fd`, and makes it look away.
    ///
    /// # Errors
    /// UNSUPPORTED if it is not registered exactly once, as bug or news of the runtime, or where there is no epoll.
    pub fn pause(fd: RawFd) -> Result<Self, Failure> {
        let (inode, name) = borrowed(fd, |fd| Ok((inode(fd)?, SockRef::from(&fd).local_addr()?)))?;
        let registration = only(epoll::registrations(inode).map_err(|error| unreadable(&error))?)?;
        let mut found = Watched { registration, inode, name, paused: false };
        found.look_away().map_err(|error| Failure::system("epoll_ctl", &error))?;
        Ok(found)
    }

    /// Finds the listener that the runtime opened at 127.0.0.1:`port`, for `take` to put another in its place.
    ///
    /// # Errors
    /// UNSUPPORTED if not exactly one descriptor listens there, and what `pause` says.
    pub fn placeholder(port: u16) -> Result<Self, Failure> {
        let there = Address::Tcp { ip: Ipv4Addr::LOCALHOST.into(), port };
        Watched::pause(only(open_descriptors(|fd| Address::of_listening(fd).ok().as_ref() == Some(&there)))?)
    }

    /// The runtime watches it again, and finds whatever has come meanwhile.
    ///
    /// # Errors
    /// LISTENER if the runtime has closed it; those of epoll_ctl(2).
    pub fn resume(&mut self) -> Result<(), Failure> {
        if !self.paused {
            return Ok(());
        }
        if !self.is_there() {
            return Err(Failure::new(Code::Listener, "the listener was closed by the application or the runtime"));
        }
        epoll::add(&self.registration).map_err(|error| Failure::system("epoll_ctl", &error))?;
        self.paused = false;
        Ok(())
    }

    /// The runtime looks away, and another `resume` follows.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn pause_again(&mut self) -> Result<(), Failure> {
        self.look_away().map_err(|error| Failure::system("epoll_ctl", &error))
    }

    /// Lets go of the socket: the runtime looks away, and keeps a number that means nothing, for it to close in its own
    /// time. The connections that came by it stay.
    ///
    /// # Errors
    /// Those of epoll_ctl(2), open(2) and dup3(2).
    pub fn let_go(&mut self) -> Result<(), Failure> {
        if !self.is_there() {
            return Ok(());
        }
        let release = |watched: &mut Self| {
            watched.look_away()?;
            watched.replace(File::open("/dev/null")?.as_fd())
        };
        release(self).map_err(|error| Failure::system("dup3", &error))
    }

    /// Puts `socket` in its place, or in the place of what was let go of, paused. What was there ends by it.
    ///
    /// # Errors
    /// LISTENER if the runtime has closed its number; those of dup3(2). Then nothing has changed.
    pub fn take(&mut self, socket: BorrowedFd<'_>) -> Result<(), Failure> {
        if !self.is_there() {
            return Err(Failure::new(Code::Listener, "the server was closed by the application or the runtime"));
        }
        self.look_away().map_err(|error| Failure::system("epoll_ctl", &error))?;
        self.replace(socket).map_err(|error| Failure::system("dup3", &error))?;
        if self.is_there() { Ok(()) } else { Err(Failure::new(Code::Listener, "the socket is not where it was put")) }
    }

    /// The connections of this process that came by that listener, however far they are: those with its address.
    pub fn connections(&self) -> usize {
        open_descriptors(|fd| !listens(fd) && self.is_accepted(fd)).len()
    }

    fn is_accepted(&self, fd: BorrowedFd<'_>) -> bool {
        let socket = SockRef::from(&fd);
        let Ok(name) = socket.local_addr() else { return false };
        let same = match (name.as_socket(), self.name.as_socket()) {
            (Some(one), Some(listener)) => {
                let any = plain(listener.ip()).is_unspecified();
                one.port() == listener.port() && (any || plain(one.ip()) == plain(listener.ip()))
            }
            (None, None) => name == self.name,
            _ => false,
        };
        same && socket.peer_addr().is_ok()
    }

    fn look_away(&mut self) -> io::Result<()> {
        if !self.paused && self.is_there() {
            epoll::delete(&self.registration)?;
        }
        self.paused = true;
        Ok(())
    }

    /// Only while paused: a registration would outlive the number, and speak of a socket that others still have.
    fn replace(&mut self, by: BorrowedFd<'_>) -> io::Result<()> {
        let inode = inode(by)?;
        sys::replace(self.registration.fd, by)?;
        self.inode = inode;
        if let Ok(name) = SockRef::from(&by).local_addr() {
            self.name = name;
        }
        Ok(())
    }

    fn is_there(&self) -> bool {
        borrowed(self.registration.fd, inode).is_ok_and(|inode| inode == self.inode)
    }
}

fn only<T>(found: Vec<T>) -> Result<T, Failure> {
    let count = found.len();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Failure::new(
            Code::Unsupported,
            format!(
                "this version of the runtime keeps its listeners in another way ({count} found where one was expected)"
            ),
        )),
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(Code::Unsupported, format!("the event loop cannot be looked into ({error}): is /proc mounted?"))
}

/// The numbers of this process's descriptors for which that holds.
fn open_descriptors(wanted: impl Fn(BorrowedFd<'_>) -> bool) -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|&fd| sys::with_borrowed(fd, &wanted).unwrap_or(false)).collect()
}

fn borrowed<T>(fd: RawFd, look: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>) -> Result<T, Failure> {
    let looked = sys::with_borrowed(fd, look).unwrap_or(Err(rustix::io::Errno::BADF.into()));
    looked.map_err(|error| Failure::system("fstat", &error))
}

fn inode(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::fstat(fd.as_fd()).map(|stat| stat.st_ino)?)
}

/// `::ffff:127.0.0.1` is `127.0.0.1`.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
