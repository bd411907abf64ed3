//! Where there is no epoll nothing can be found, and nothing is changed.

use std::io;
use std::os::fd::RawFd;

/// Never made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    pub(super) fd: RawFd,
}

pub(super) fn registrations(_inode: u64) -> io::Result<Vec<Registration>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn add(_registration: &Registration) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn delete(_registration: &Registration) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
