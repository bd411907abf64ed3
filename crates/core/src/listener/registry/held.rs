//! One listener as the registry holds it, with its socket file.

use super::Shared;
use crate::Failure;
use crate::listener::{FileId, Listener, Request, Source, fd_name, socket_file};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::{io, path};

#[derive(Debug)]
pub(super) struct Held {
    pub(super) listener: Listener,
    pub(super) claimed: bool,
    pub(super) file: Option<SocketFile>,
    /// The service manager has a copy, which outlives us.
    pub(super) stored: bool,
}

/// A socket file that is ours to remove.
#[derive(Debug)]
pub(super) struct SocketFile {
    pub(super) path: PathBuf,
    pub(super) file: FileId,
}

impl SocketFile {
    /// Removes it unless another one took its place: before its socket is closed, see [`socket_file`].
    pub(super) fn unlink(&self) {
        socket_file::unlink(&self.path, self.file);
    }
}

impl Held {
    pub(super) fn new(listener: Listener, claimed: bool) -> Self {
        let ours = listener.source != Source::ServiceManager;
        let path = listener.address.file().and_then(|path| path::absolute(path).ok());
        let file = match (path, listener.file) {
            (Some(path), Some(file)) if ours => Some(SocketFile { path, file }),
            _ => None,
        };
        Held { listener, claimed, file, stored: false }
    }

    /// A copy for the runtime, which expects it non-blocking, with the permissions now asked for.
    pub(super) fn give(&self, request: &Request) -> Result<OwnedFd, Failure> {
        let fd = self.listener.fd.try_clone().map_err(|error| Failure::system("dup", &error))?;
        rustix::io::ioctl_fionbio(&fd, true).map_err(|error| Failure::system("listen", &error.into()))?;
        if let (Some(SocketFile { path, file }), Some(mode)) = (&self.file, request.mode) {
            socket_file::set_mode(path, *file, mode).map_err(|error| Failure::system("chmod", &error))?;
        }
        Ok(fd)
    }

    /// Removes the socket file first: as long as the socket is open, no other file can have its inode number.
    pub(super) fn close(self) {
        self.file.iter().for_each(SocketFile::unlink);
    }
}

impl Listener {
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name || (self.source == Source::ServiceManager && self.name == fd_name(name))
    }

    pub(super) fn share(&self) -> io::Result<Shared> {
        let source = match self.source {
            Source::Bound | Source::Generation => Source::Generation,
            Source::ServiceManager => Source::ServiceManager,
        };
        let fd = self.fd.as_fd().try_clone_to_owned()?;
        Ok(Shared { name: self.name.clone(), address: self.address.clone(), source, file: self.file, fd })
    }
}
