//! The registrations of this process's epoll instances, as the kernel lists them in /proc/self/fdinfo.

use crate::sys;
use rustix::event::epoll::{self, EventData, EventFlags};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// One socket in one epoll instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    epoll: RawFd,
    pub(super) fd: RawFd,
    events: u32,
    data: u64,
}

/// Every registration of that socket, in all threads.
pub(super) fn registrations(inode: u64) -> io::Result<Vec<Registration>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(epoll) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let link = std::fs::read_link(format!("/proc/self/fd/{epoll}"));
        if !link.is_ok_and(|link| link.as_os_str() == "anon_inode:[eventpoll]") {
            continue;
        }
        // A thread that ends may have closed its own meanwhile.
        let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")) else { continue };
        found.extend(info.lines().filter_map(|line| parse(epoll, line, inode)));
    }
    Ok(found)
}

/// Puts a registration back as it was.
pub(super) fn add(registration: &Registration) -> io::Result<()> {
    let &Registration { events, data, .. } = registration;
    with(registration, |epoll, socket| {
        epoll::add(epoll, socket, EventData::new_u64(data), EventFlags::from_bits_retain(events))
    })
}

/// Takes a registration out.
pub(super) fn delete(registration: &Registration) -> io::Result<()> {
    with(registration, |epoll, socket| epoll::delete(epoll, socket))
}

fn with(
    registration: &Registration,
    act: impl FnOnce(BorrowedFd<'_>, BorrowedFd<'_>) -> rustix::io::Result<()>,
) -> io::Result<()> {
    let done = sys::with_borrowed(registration.epoll, |epoll| {
        sys::with_borrowed(registration.fd, |socket| act(epoll, socket))
    });
    Ok(done.flatten().unwrap_or(Err(rustix::io::Errno::BADF))?)
}

/// `tfd:        5 events:       19 data:      504886456e0  pos:0 ino:13428a sdev:9`: numbers but the first are
/// hexadecimal. Lines of other sockets and other lines give none.
fn parse(epoll: RawFd, line: &str, inode: u64) -> Option<Registration> {
    let mut words = line.split_whitespace();
    let mut value = |name: &str| -> Option<&str> {
        let word = words.next()?;
        match word.strip_prefix(name)? {
            "" => words.next(),
            value => Some(value),
        }
    };
    let fd = value("tfd:")?.parse().ok()?;
    let events = u32::from_str_radix(value("events:")?, 16).ok()?;
    let data = u64::from_str_radix(value("data:")?, 16).ok()?;
    value("pos:")?;
    let registered = u64::from_str_radix(value("ino:")?, 16).ok()?;
    (registered == inode).then_some(Registration { epoll, fd, events, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_kernel_writes_it() {
        let line = "tfd:        5 events: 80000019 data:      504886456e0  pos:0 ino:13428a sdev:9";
        let read = Registration { epoll: 3, fd: 5, events: 0x8000_0019, data: 0x504_8864_56e0 };
        assert_eq!(parse(3, line, 0x13428a), Some(read));
        assert_eq!(parse(3, line, 0x13428b), None);
    }

    #[test]
    fn what_is_no_registration_is_passed_over() {
        for line in ["", "pos:\t0", "flags:\t02000002", "tfd: x events: 19 data: 0 pos:0 ino:1", "tfd: 5 events: 19"] {
            assert_eq!(parse(3, line, 1), None, "{line}");
        }
    }
}
