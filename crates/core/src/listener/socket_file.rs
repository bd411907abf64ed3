//! The file of a unix socket: bound under a lock of its directory, removed only while it is still the one we know.
//!
//! While a bound socket is open the kernel keeps its inode, so device and inode number identify the file exactly as
//! long as its owner looks before closing the socket.

use super::Address;
use super::address::is_abstract;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The longest path that fits a `sockaddr_un` on Linux.
const LONGEST_PATH: usize = 107;
/// How long another process may keep the directory locked before we give up.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The socket file at an address; `None` where there is none.
    pub(crate) fn of_path(address: &Address) -> Option<Self> {
        look(address.file()?).ok().filter(is_socket).map(|stat| FileId::of(&stat))
    }

    #[allow(clippy::unnecessary_cast, reason = "the fields differ in type between platforms")]
    fn of(stat: &Stat) -> Self {
        FileId { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
    }
}

/// Binds a stream socket to a path, with the permissions that a client is to find from the first moment, and listens.
pub(super) fn bind(path: &Path, mode: Option<u32>, backlog: i32) -> io::Result<(OwnedFd, Option<FileId>)> {
    check(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if is_abstract(path) {
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(backlog)?;
        return Ok((socket.into(), None));
    }
    let _lock = lock(path)?;
    clear_the_way(path)?;
    if let Some(mode) = mode {
        // Linux creates the file with the permissions of the socket; elsewhere this fails and `set_mode` has to do.
        let _ = rustix::fs::fchmod(&socket, permissions(mode));
    }
    socket.bind(&SockAddr::unix(path)?)?;
    let file = FileId::of(&look(path)?);
    let finished = match mode {
        Some(mode) => set_mode(path, file, mode).and_then(|()| socket.listen(backlog)),
        None => socket.listen(backlog),
    };
    match finished {
        Ok(()) => Ok((socket.into(), Some(file))),
        Err(error) => {
            unlink_if_same(path, file);
            Err(error)
        }
    }
}

/// Gives a socket file its permissions, umask or not.
pub(super) fn set_mode(path: &Path, file: FileId, mode: u32) -> io::Result<()> {
    let found = look(path)?;
    let mode = permissions(mode);
    if FileId::of(&found) != file || Mode::from_raw_mode(found.st_mode) == mode {
        return Ok(());
    }
    match rustix::fs::chmodat(CWD, path, mode, AtFlags::SYMLINK_NOFOLLOW) {
        // Kernels before 6.6 cannot leave a link alone.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())?),
        other => Ok(other?),
    }
}

/// Removes a socket file unless another one took its place. To be called before the socket is closed.
pub(super) fn unlink(path: &Path, file: FileId) {
    // Without the lock (a directory that is gone or unreadable) it is still checked, only not against a race.
    let _lock = lock(path);
    unlink_if_same(path, file);
}

#[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast, reason = "its type differs between platforms")]
fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as RawMode)
}

fn unlink_if_same(path: &Path, file: FileId) {
    if look(path).is_ok_and(|found| FileId::of(&found) == file) {
        let _ = rustix::fs::unlink(path);
    }
}

fn check(path: &Path) -> io::Result<()> {
    let bytes = path.as_os_str().as_bytes();
    let longest = LONGEST_PATH + usize::from(is_abstract(path));
    let name = bytes.strip_prefix(b"\0").unwrap_or(bytes);
    let broken = bytes.len() > longest || name.is_empty() || (!is_abstract(path) && name.contains(&0));
    if broken || (is_abstract(path) && !cfg!(target_os = "linux")) { Err(Errno::INVAL.into()) } else { Ok(()) }
}

/// Why a path cannot be bound, for the message of an `EINVAL`.
pub(super) fn explain(path: &Path) -> Option<String> {
    check(path).err()?;
    let length = path.as_os_str().len();
    Some(if length > LONGEST_PATH {
        format!(
            "a unix socket path has at most {LONGEST_PATH} bytes, this one has {length}; use a shorter directory or a relative path"
        )
    } else {
        "a unix socket path must not be empty or contain NUL (a leading one names Linux's abstract namespace)".into()
    })
}

/// Makes room at `path`: nothing there, or a socket that nobody listens on any more, which is removed.
fn clear_the_way(path: &Path) -> io::Result<()> {
    let found = match look(path) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !is_socket(&found) {
        return Err(Errno::ADDRINUSE.into());
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.raw_os_error() == Some(Errno::CONNREFUSED.raw_os_error()) => {
            unlink_if_same(path, FileId::of(&found));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // It answers, or it is not ours to judge.
        _ => Err(Errno::ADDRINUSE.into()),
    }
}

fn look(path: &Path) -> Result<Stat, Errno> {
    rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
}

fn is_socket(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Socket
}

/// Locks the directory of a path against others who bind or remove there in the same way.
pub(crate) fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let opened = match rustix::fs::open(directory, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    {
        Ok(opened) => opened,
        // One may create files in a directory that one may not read.
        Err(Errno::ACCESS) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(opened)),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => sleep(Duration::from_millis(5)),
            // A file system without locks has no one to race with in this way.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOLCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}
