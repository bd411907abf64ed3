//! The launcher's program: embedded in this library and run from memory, or a file where that cannot be.

use crate::sys;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

#[cfg(target_os = "linux")]
const EMBEDDED: &[u8] = include_bytes!(env!("SHELLFLIP_LAUNCHER"));

/// The launcher's file in the platform package, if there is one.
static FILE: RwLock<Option<PathBuf>> = RwLock::new(None);

/// Something to start a launcher from, any number of times.
#[derive(Debug)]
pub struct Image {
    /// The sealed copy in memory. It needs neither an x bit nor an exec mount, and an update cannot replace it.
    memory: Option<OwnedFd>,
}

/// Names the launcher's file, for where it cannot run from memory and does not lie beside this code.
pub fn set_launcher_path(path: impl Into<PathBuf>) {
    *FILE.write().unwrap_or_else(PoisonError::into_inner) = Some(path.into());
}

/// Makes the launcher ready to be started. On any thread; costs one copy of it.
///
/// # Errors
/// Where it cannot be had in memory and there is no file: why not in memory. Where the system only has no more to give
/// at the moment, a file is no way out: the image is kept.
pub fn prepare() -> io::Result<Image> {
    match in_memory() {
        Ok(memory) => Ok(Image { memory: Some(memory) }),
        Err(error) if !for_the_moment(&error) && launcher_path().is_some() => Ok(Image { memory: None }),
        Err(error) => Err(error),
    }
}

fn for_the_moment(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

impl Image {
    /// What to execute, in the order of preference.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let memory = self.memory.as_ref().map(|memory| format!("/proc/self/fd/{}", memory.as_raw_fd()).into());
        memory.into_iter().chain(launcher_path())
    }

    /// As on a system without memfd: only the file.
    #[cfg(test)]
    #[cfg(target_os = "linux")]
    pub(super) fn without_memory() -> Self {
        Image { memory: None }
    }
}

/// The file as named, else the one that lies beside the addon in every platform package.
fn launcher_path() -> Option<PathBuf> {
    let named = FILE.read().unwrap_or_else(PoisonError::into_inner).clone();
    named.or_else(|| Some(sys::own_file()?.with_file_name("shellflip-launcher")).filter(|file| file.exists()))
}

#[cfg(target_os = "linux")]
fn in_memory() -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::io::Write;

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Since Linux 6.3 vm.memfd_noexec may want the wish to execute said; before, the flag is unknown.
    let memory = memfd_create("shellflip-launcher", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("shellflip-launcher", flags))?;
    let mut file = std::fs::File::from(memory);
    file.write_all(EMBEDDED)?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file.into())
}

#[cfg(not(target_os = "linux"))]
fn in_memory() -> io::Result<OwnedFd> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "the launcher's file of the platform package is not installed"))
}
