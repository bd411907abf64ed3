//! Where the coordination socket is when nobody says so: the service and the command line work it out the same way.

use super::probe::{Probe, probe};
use crate::{Code, Failure};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The longest path of a unix socket, in bytes.
pub(super) const LIMIT: usize = if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };
/// The longest part of a file name that comes from the service's name.
const NAME_LIMIT: usize = 40;
/// `-`, 16 hexadecimal digits, `.sock`.
const SUFFIX: usize = 22;

/// Where a service looks for, or puts, its socket if it was given no path: `$SHELLFLIP_SOCKET`, else
/// `$RUNTIME_DIRECTORY/shellflip.sock`, else a file named after the service and its script in `$XDG_RUNTIME_DIR` or in
/// `<tmpdir>/shellflip-<uid>`, which is created 0700.
///
/// # Errors
/// `INVALID_ARG` if the fallback directory is another user's or open to others; the system's if it cannot be made.
pub fn default_path(name: &str, script: &str) -> Result<PathBuf, Failure> {
    World::real().default_path(name, script)
}

/// `$SHELLFLIP_SOCKET`, if it is set and not empty: a path that counts as asked for by name.
pub fn explicit_path() -> Option<PathBuf> {
    World::real().explicit()
}

/// What the command line finds when it was given no path.
#[derive(Debug, Default)]
pub struct Search {
    /// Where a service was looked for: sockets by name, or the directory that holds them.
    pub looked: Vec<PathBuf>,
    /// The sockets that a process answers, with its pid where the kernel tells.
    pub live: Vec<(PathBuf, Option<u32>)>,
}

/// Looks for running services of this user: `$SHELLFLIP_SOCKET`, else `$RUNTIME_DIRECTORY/shellflip.sock` if it is
/// there, else all sockets of the per-user directory.
pub fn discover() -> Search {
    World::real().discover()
}

/// The environment that decides, apart so that tests can give another.
pub(super) struct World {
    pub(super) socket: Option<OsString>,
    pub(super) runtime_directory: Option<OsString>,
    pub(super) xdg_runtime_dir: Option<OsString>,
    pub(super) temporary: PathBuf,
    pub(super) uid: u32,
}

impl World {
    fn real() -> Self {
        let get = |key| std::env::var_os(key).filter(|value: &OsString| !value.is_empty());
        World {
            socket: get("SHELLFLIP_SOCKET"),
            runtime_directory: get("RUNTIME_DIRECTORY"),
            xdg_runtime_dir: get("XDG_RUNTIME_DIR"),
            temporary: std::env::temp_dir(),
            uid: rustix::process::geteuid().as_raw(),
        }
    }

    fn explicit(&self) -> Option<PathBuf> {
        self.socket.clone().map(PathBuf::from)
    }

    /// systemd lists several directories with colons between them; the first is the unit's own.
    fn managed(&self) -> Option<PathBuf> {
        let first = self.runtime_directory.as_ref()?.as_bytes().split(|&byte| byte == b':').next()?;
        Some(Path::new(OsStr::from_bytes(first)).join("shellflip.sock"))
    }

    pub(super) fn default_path(&self, name: &str, script: &str) -> Result<PathBuf, Failure> {
        if let Some(path) = self.explicit().or_else(|| self.managed()) {
            return Ok(path);
        }
        let directory = self.directory();
        if !self.xdg_is_ours() {
            create_private(&directory, self.uid)?;
        }
        let room = LIMIT.saturating_sub(directory.as_os_str().len() + 1 + SUFFIX).clamp(1, NAME_LIMIT);
        Ok(directory.join(file_name(name, script, room)))
    }

    pub(super) fn discover(&self) -> Search {
        let named = self.explicit().or_else(|| self.managed().filter(|path| path.exists()));
        if let Some(path) = named {
            return Search { live: live(&path).into_iter().collect(), looked: vec![path] };
        }
        let directory = self.directory();
        let mut found: Vec<_> = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| is_ours(&entry.file_name()))
            .filter_map(|entry| live(&entry.path()))
            .collect();
        found.sort();
        Search { looked: vec![directory], live: found }
    }

    /// The per-user directory. A `$XDG_RUNTIME_DIR` of somebody else (as after sudo) is not used.
    fn directory(&self) -> PathBuf {
        match &self.xdg_runtime_dir {
            Some(directory) if self.xdg_is_ours() => directory.into(),
            _ => self.temporary.join(private_name(self.uid)),
        }
    }

    fn xdg_is_ours(&self) -> bool {
        self.xdg_runtime_dir.as_ref().is_some_and(|path| is_private(Path::new(path), self.uid).unwrap_or(false))
    }
}

fn live(path: &Path) -> Option<(PathBuf, Option<u32>)> {
    match probe(path) {
        Probe::Live(pid) => Some((path.to_owned(), pid)),
        _ => None,
    }
}

fn is_private(directory: &Path, uid: u32) -> io::Result<bool> {
    let found = std::fs::symlink_metadata(directory)?;
    Ok(found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0)
}

/// Makes the per-user fallback directory of a derived path again, if that is where the path is and it is gone.
pub(super) fn restore_directory(path: &Path) -> Result<(), Failure> {
    let uid = rustix::process::geteuid().as_raw();
    match path.parent() {
        Some(parent) if parent.file_name() == Some(private_name(uid).as_ref()) => create_private(parent, uid),
        _ => Ok(()),
    }
}

fn private_name(uid: u32) -> String {
    format!("shellflip-{uid}")
}

fn create_private(directory: &Path, uid: u32) -> Result<(), Failure> {
    let shown = directory.display();
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            let message = format!(
                "the directory {shown} for the coordination socket cannot be created ({e}): set the option `socket`, \
                 SHELLFLIP_SOCKET or XDG_RUNTIME_DIR"
            );
            return Err(Failure { message, ..Failure::system("mkdir", &e) });
        }
        _ => {}
    }
    match is_private(directory, uid) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(
            Code::InvalidArg,
            format!(
                "the directory {shown} for the coordination socket must be a directory of user {uid} with mode 0700, \
                 and is not: somebody else may have put it there; remove it, or set the option `socket` or \
                 SHELLFLIP_SOCKET"
            ),
        )),
        Err(e) => Err(Failure::system("stat", &e)),
    }
}

fn file_name(name: &str, script: &str, room: usize) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    let name: String = name.chars().map(clean).take(room).collect();
    let name = name.trim_matches('-');
    let name = if name.is_empty() { "s" } else { name };
    format!("{name}-{}.sock", digest(script.as_bytes()))
}

/// FNV-1a: the same in every process and every release, which the standard library's hasher does not promise.
pub(super) fn digest(bytes: &[u8]) -> String {
    let mix = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix))
}

fn is_ours(file: &OsStr) -> bool {
    let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".sock")) else { return false };
    name.rsplit_once('-').is_some_and(|(name, digits)| {
        !name.starts_with('.') && digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The path made absolute, if a socket can have it.
pub(super) fn checked(path: &Path) -> Result<PathBuf, Failure> {
    let wrong =
        |what: String| Failure::new(Code::InvalidArg, format!("coordination socket path {}: {what}", path.display()));
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(wrong("it contains a NUL character: remove it".into()));
    }
    let absolute = std::path::absolute(path).map_err(|_| wrong("it is empty: give the path of a socket".into()))?;
    let length = absolute.as_os_str().len();
    if length > LIMIT {
        return Err(wrong(format!(
            "it has {length} bytes, and the system allows {LIMIT}: choose a shorter one, for example under /run or \
             /tmp"
        )));
    }
    split(&absolute)?;
    Ok(absolute)
}

/// Directory and file name of a path.
pub(super) fn split(path: &Path) -> Result<(&Path, &OsStr), Failure> {
    let trailing = path.as_os_str().as_bytes().ends_with(b"/");
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !trailing => Ok((parent, name)),
        _ => Err(Failure::new(
            Code::InvalidArg,
            format!("coordination socket path {}: it names a directory: add a file name", path.display()),
        )),
    }
}
