//! The only unsafe code of this crate: what no safe wrapper offers. Each block says why it is sound.

use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use tokio::io::unix::AsyncFd;

/// Takes ownership of an inherited descriptor by number and sets FD_CLOEXEC on it.
///
/// # Errors
/// `EBADF` where nothing is open under that number. Numbers below 3 are refused with `EINVAL`.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 3 {
        return Err(io::Error::from_raw_os_error(rustix::io::Errno::INVAL.raw_os_error()));
    }
    // SAFETY: only borrowed for the call that asks whether it is open; a wrong number yields EBADF.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: it is open (the call above succeeded) and the caller validated that it is ours to own.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Borrows an open descriptor by number, to look at it without owning it.
pub fn with_borrowed<T>(fd: RawFd, look: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> T) -> Option<T> {
    if fd < 0 {
        return None;
    }
    // SAFETY: the borrow ends with this call; a number that is not open only makes `look`'s calls fail with EBADF.
    Some(look(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }))
}

/// Makes a number of somebody else's mean what `by` means, close-on-exec; what it meant is closed in the same step.
///
/// # Errors
/// Those of dup3(2), and `EBADF` where nothing is open under that number.
pub fn replace(target: RawFd, by: std::os::fd::BorrowedFd<'_>) -> io::Result<()> {
    if with_borrowed(target, |fd| rustix::io::fcntl_getfd(fd).is_ok()) != Some(true) {
        return Err(rustix::io::Errno::BADF.into());
    }
    // SAFETY: the number is open, and its owner keeps it: it is not closed here, which ManuallyDrop sees to.
    let mut target = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(target) });
    #[cfg(target_os = "linux")]
    rustix::io::dup3(by, &mut target, rustix::io::DupFlags::CLOEXEC)?;
    #[cfg(not(target_os = "linux"))]
    rustix::io::dup2(by, &mut target)?;
    Ok(())
}

/// Removes a variable from the native environment.
pub fn remove_env(name: &str) {
    // SAFETY: called once, from the thread that loads the addon, before it starts any thread of its own; Node
    // guards its own access to the environment with a lock of the same process-wide `environ`.
    unsafe { std::env::remove_var(name) }
}

/// Watches a descriptor on the tokio runtime of the calling thread.
///
/// # Errors
/// When the runtime's poller cannot take it, such as `EPERM` for a regular file.
pub fn watch<T: AsFd + AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: an owner that lends its descriptor (AsFd) keeps the same one open for as long as it lives, and the
    // AsyncFd holds the owner.
    unsafe { AsyncFd::register(owner) }.map_err(io::Error::from)
}

/// The file that this code was loaded from: the addon, or the program.
pub fn own_file() -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr(3) looks the address up and writes `info`; it dereferences neither.
    let found = unsafe { libc::dladdr(own_file as *const libc::c_void, info.as_mut_ptr()) } != 0;
    // SAFETY: zeroed is a valid Dl_info (null pointers), and dladdr only ever completes it.
    let name = unsafe { info.assume_init() }.dli_fname;
    if !found || name.is_null() {
        return None;
    }
    // SAFETY: dladdr gives a NUL-terminated name that lives as long as the library, which is never unloaded.
    let name = unsafe { CStr::from_ptr(name) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_code_is_in_the_program_that_tests_it() {
        let own = own_file().unwrap().canonicalize().unwrap();
        assert_eq!(own, std::env::current_exe().unwrap().canonicalize().unwrap());
    }
}
