//! A name in a directory whose lock is held: under it a socket is made, or found to be another's. Whatever temporary name
//! is found under that lock is left over from a starter that was killed.

use super::probe::{Probe, probe};
use super::{BACKLOG, path};
use crate::{Code, Failure};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use socket2::{Domain, SockAddr, Socket, Type};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// A longer name is abbreviated in its temporary one, so that this fits into an address too.
const STEM_LIMIT: usize = 60;

/// A name in a directory whose lock is held as long as this lives.
pub(super) struct Place<'a> {
    path: &'a Path,
    directory: OwnedFd,
    name: &'a OsStr,
}

impl<'a> Place<'a> {
    /// Opens the directory and waits for its lock, at most that long.
    pub fn locked(path: &'a Path, patience: Duration) -> Result<Self, Failure> {
        let (parent, name) = path::split(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(parent, flags, Mode::empty()).map_err(|e| {
            let what = match e {
                rustix::io::Errno::NOENT => "does not exist: create it, or choose another path".to_owned(),
                rustix::io::Errno::NOTDIR => "is not a directory: choose another path".to_owned(),
                e => format!("cannot be opened ({e}): allow this user to read and write it, or choose another path"),
            };
            system("open", e.into(), format!("coordination socket {}: {} {what}", path.display(), parent.display()))
        })?;
        let mode = rustix::fs::fstat(&directory).map_err(|e| Failure::system("fstat", &e.into()))?.st_mode;
        if mode & 0o1002 == 0o0002 {
            let text = format!(
                "coordination socket {}: anyone may replace it, since {} is writable by all users and not sticky: \
                 chmod o-w it, or choose another path",
                path.display(),
                parent.display()
            );
            return Err(Failure::new(Code::InvalidArg, text));
        }
        let place = Place { path, directory, name };
        place.lock(patience)?;
        Ok(place)
    }

    /// Any user who may read the directory may lock it, hence the deadline.
    fn lock(&self, patience: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        loop {
            match rustix::fs::flock(&self.directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => {
                    let text = format!("coordination socket {}: its directory cannot be locked: {e}", self.shown());
                    return Err(system("flock", e.into(), text));
                }
            }
        }
    }

    /// Unless nothing is there, or a socket that nobody listens on.
    pub fn refuse_the_taken(&self) -> Result<(), Failure> {
        let Ok(found) = std::fs::symlink_metadata(self.path) else { return Ok(()) };
        if !found.file_type().is_socket() {
            let kind = if found.is_symlink() { "a symbolic link" } else { "something that is not a socket" };
            let text = format!(
                "coordination socket {}: {kind} is there and is not followed or replaced: remove it, or choose \
                 another path",
                self.shown()
            );
            return Err(Failure::new(Code::InvalidArg, text));
        }
        match probe(self.path) {
            Probe::Dead | Probe::Absent => Ok(()),
            Probe::Live(pid) => Err(in_use(self.path, pid)),
            Probe::Unknown(e) => {
                let text = format!(
                    "coordination socket {}: a socket is there that this process cannot try ({e}): remove it if its \
                     service is gone, or choose another path",
                    self.shown()
                );
                Err(system("connect", e, text))
            }
        }
    }

    /// Removes what a starter killed half-way left. Under the lock nobody can be using such a name.
    pub fn sweep(&self) {
        let Some(entries) = self.path.parent().and_then(|parent| std::fs::read_dir(parent).ok()) else { return };
        let stem = self.stem();
        for entry in entries.flatten() {
            let file = entry.file_name();
            if temporary_of(&file) == Some(&*stem) && entry.file_type().is_ok_and(|kind| kind.is_socket()) {
                let _ = rustix::fs::unlinkat(&self.directory, &file, AtFlags::empty());
            }
        }
    }

    /// What its temporary names have in the middle.
    fn stem(&self) -> Cow<'_, OsStr> {
        match self.name.len() {
            ..=STEM_LIMIT => self.name.into(),
            _ => OsString::from(path::digest(self.name.as_bytes())).into(),
        }
    }

    fn temporary(&self) -> OsString {
        let mut name = OsString::from(".");
        name.push(self.stem());
        name.push(format!(".{}", std::process::id()));
        name
    }

    /// Makes a socket that listens under the name, with the device and inode of its file. Nothing is left of a failure.
    pub fn listen(&self) -> Result<(OwnedFd, (u64, u64)), Failure> {
        let temporary = self.temporary();
        let made = self.make(&temporary);
        if made.is_err() {
            let _ = rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
        }
        made
    }

    /// Removes the name; true if it was there.
    pub fn unlink(&self) -> bool {
        rustix::fs::unlinkat(&self.directory, self.name, AtFlags::empty()).is_ok()
    }

    /// Binds under the temporary name, listens, and only then gives it its real one.
    fn make(&self, temporary: &OsStr) -> Result<(OwnedFd, (u64, u64)), Failure> {
        let failed = |syscall: &'static str| {
            move |e: io::Error| {
                let text = format!(
                    "coordination socket {}: it cannot be created ({syscall}: {e}): allow this user to write to its \
                     directory, or choose another path",
                    self.shown()
                );
                system(syscall, e, text)
            }
        };
        let mut named = self.path.with_file_name(temporary);
        if named.as_os_str().len() > path::LIMIT {
            // The temporary name is the longer one; the directory's descriptor abbreviates it.
            named = Path::new("/proc/self/fd").join(self.directory.as_raw_fd().to_string()).join(temporary);
        }
        let address = SockAddr::unix(&named).map_err(failed("bind"))?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed("socket"))?;
        // On Linux the file is born with this mode; elsewhere it is set before anyone could connect.
        let private = Mode::RUSR | Mode::WUSR;
        let _ = rustix::fs::fchmod(&socket, private);
        socket.bind(&address).map_err(failed("bind"))?;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        rustix::fs::chmodat(&self.directory, temporary, private, AtFlags::empty())
            .map_err(|e| failed("chmod")(e.into()))?;
        socket.set_nonblocking(true).map_err(failed("fcntl"))?;
        socket.listen(BACKLOG).map_err(failed("listen"))?;
        let identity = identity(&named).ok_or_else(|| failed("stat")(io::Error::last_os_error()))?;
        rustix::fs::renameat(&self.directory, temporary, &self.directory, self.name)
            .map_err(|e| failed("rename")(e.into()))?;
        Ok((socket.into(), identity))
    }

    fn shown(&self) -> std::path::Display<'_> {
        self.path.display()
    }
}

fn in_use(path: &Path, pid: Option<u32>) -> Failure {
    let who = match pid {
        Some(pid) if pid == std::process::id() => "this process itself".to_owned(),
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    };
    let text = format!(
        "coordination socket {}: {who} answers it: stop that service, or give this one another path (option `socket` \
         or SHELLFLIP_SOCKET)",
        path.display()
    );
    Failure { pid, ..Failure::new(Code::SocketInUse, text) }
}

fn system(syscall: &str, error: io::Error, message: String) -> Failure {
    Failure { message, ..Failure::system(syscall, &error) }
}

/// `service.sock` for `.service.sock.1234`.
pub(super) fn temporary_of(file: &OsStr) -> Option<&OsStr> {
    let rest = file.as_bytes().strip_prefix(b".")?;
    let dot = rest.iter().rposition(|&byte| byte == b'.')?;
    let (name, pid) = (&rest[..dot], &rest[dot + 1..]);
    (!name.is_empty() && !pid.is_empty() && pid.iter().all(u8::is_ascii_digit)).then(|| OsStr::from_bytes(name))
}

/// Device and inode of the socket file there.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    found.file_type().is_socket().then(|| (found.dev(), found.ino()))
}
