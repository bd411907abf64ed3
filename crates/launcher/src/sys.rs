//! The only unsafe code of the launcher: what no safe wrapper offers. The process has one thread throughout.

use rustix::io::Errno;
use rustix::process::Pid;
use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Meant for the service: they reach the launcher when sent to the process group or the control group.
const IGNORED: [c_int; 7] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGPIPE];

/// The highest signal number there is anywhere.
const SIGNAL_MAX: c_int = 64;

/// Where the handler of SIGCHLD writes.
static DIED: AtomicI32 = AtomicI32::new(-1);

/// Ignores the signals that are meant for the service, not for its launcher.
pub fn ignore_signals() {
    for signal in IGNORED {
        // SAFETY: setting a disposition has no precondition, and SIG_IGN runs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// From now on the death of a child writes a byte to this pipe, which must be non-blocking.
pub fn watch_children(pipe: OwnedFd) {
    DIED.store(pipe.into_raw_fd(), Ordering::Relaxed);
    // SAFETY: all-zero is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = note_death as *const () as usize;
    action.sa_flags = libc::SA_NOCLDSTOP | libc::SA_RESTART;
    // SAFETY: `action` is initialised and outlives the call; the handler only does what is async-signal-safe.
    unsafe { libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()) };
}

extern "C" fn note_death(_signal: c_int) {
    let errno = errno::get();
    // SAFETY: write is async-signal-safe and the byte lives; the pipe is never closed, and if full it wakes anyway.
    unsafe { libc::write(DIED.load(Ordering::Relaxed), c"!".as_ptr().cast(), 1) };
    errno::set(errno);
}

/// Gives every signal its default disposition and blocks none.
pub fn reset_signals() {
    (1..=SIGNAL_MAX).for_each(reset_signal);
    // SAFETY: the set is initialised by sigemptyset before it is read, and outlives both calls.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Not by the C library, which keeps two signals to itself, and whose posix_spawn hands them on ignored.
#[cfg(target_os = "linux")]
fn reset_signal(signal: c_int) {
    // The kernel's sigaction, of every architecture, with SIG_DFL, no flags and an empty mask is all zero.
    let default = [0_u64; 8];
    let mask_len = SIGNAL_MAX as usize / 8;
    // SAFETY: the structure is larger than the kernel reads; numbers that cannot be set are refused.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &default, std::ptr::null_mut::<u64>(), mask_len) };
}

#[cfg(not(target_os = "linux"))]
fn reset_signal(signal: c_int) {
    // SAFETY: setting a disposition has no precondition; numbers that cannot be set are refused.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// A pipe whose ends do not block and do not survive `execve`.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = rustix::pipe::pipe()?;
    for end in [&read, &write] {
        rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(end, true)?;
    }
    Ok((read, write))
}

/// `None` in the new process.
pub fn fork() -> Result<Option<Pid>, Errno> {
    // SAFETY: with one thread the child is a full copy, in which everything may be called.
    let pid = unsafe { libc::fork() };
    if pid < 0 { Err(last_error()) } else { Ok(Pid::from_raw(pid)) }
}

/// Puts an open file at a number, closing what was there, and lets it survive `execve`.
pub fn place(fd: &OwnedFd, number: RawFd) -> Result<(), Errno> {
    loop {
        // SAFETY: only called between fork and execve, where nothing owns the numbers that are given out.
        if unsafe { libc::dup2(fd.as_raw_fd(), number) } >= 0 {
            return Ok(());
        }
        let errno = last_error();
        if errno != Errno::INTR && errno != Errno::BUSY {
            return Err(errno);
        }
    }
}

/// Becomes another program; returns only on failure.
pub fn exec(path: &CStr, argv: &[CString], env: &[CString]) -> Errno {
    let list = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, env) = (list(argv), list(env));
    // SAFETY: both lists end with a null pointer and, like what they point to, live during the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last_error()
}

/// Ends the process at once, without any clean-up.
pub fn exit(code: c_int) -> ! {
    // SAFETY: no precondition.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from this number on. To be called before any other is opened.
pub fn close_from(first: RawFd) {
    #[cfg(target_os = "linux")]
    // SAFETY: nothing of this process owns a descriptor yet; the C library may be too old to have the call.
    if unsafe { libc::syscall(libc::SYS_close_range, first, c_int::MAX, 0) } == 0 {
        return;
    }
    for fd in open_descriptors().filter(|&fd| fd >= first) {
        // SAFETY: as above; a number that is not open yields EBADF.
        unsafe { libc::close(fd) };
    }
}

/// What may be open: what the system lists, else every number up to the limit.
fn open_descriptors() -> Box<dyn Iterator<Item = RawFd>> {
    let directory = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    if let Ok(entries) = std::fs::read_dir(directory) {
        let listed: Vec<RawFd> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        return Box::new(listed.into_iter());
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.and_then(|limit| RawFd::try_from(limit).ok()).unwrap_or(1 << 16);
    Box::new(0..limit)
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// The C library's errno, which a signal handler must leave as it found it.
mod errno {
    use std::ffi::c_int;

    #[cfg(target_os = "linux")]
    fn place() -> *mut c_int {
        // SAFETY: always returns this thread's errno.
        unsafe { libc::__errno_location() }
    }

    #[cfg(not(target_os = "linux"))]
    fn place() -> *mut c_int {
        // SAFETY: always returns this thread's errno.
        unsafe { libc::__error() }
    }

    pub fn get() -> c_int {
        // SAFETY: valid and aligned for the thread's whole life.
        unsafe { *place() }
    }

    pub fn set(value: c_int) {
        // SAFETY: as above.
        unsafe { *place() = value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_finds_what_is_open() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(open_descriptors().any(|fd| fd == file.as_raw_fd()));
    }
}
