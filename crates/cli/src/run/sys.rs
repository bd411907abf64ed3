//! The only unsafe code of `shellflip run`: what no safe wrapper offers. The process has one thread throughout.

use rustix::process::Pid;
use std::ffi::c_int;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Where the handler writes.
static CAUGHT: AtomicI32 = AtomicI32::new(-1);

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub number: c_int,
    /// A process sent it; else the kernel did, as for Ctrl-C, to everybody in the terminal's foreground group.
    pub sent: bool,
}

/// From now on each of these signals is written to the pipe, two bytes each. The pipe must not block. A caught signal is
/// back at its default in every program that is started (execve(2)).
pub fn catch(signals: &[c_int], pipe: OwnedFd) {
    CAUGHT.store(pipe.into_raw_fd(), Ordering::Relaxed);
    for &signal in signals {
        // SAFETY: all-zero is a valid sigaction: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = note as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_NOCLDSTOP;
        // SAFETY: `action` is initialised and outlives the call; the handler only does what is async-signal-safe.
        unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    }
}

extern "C" fn note(signal: c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: always returns this thread's errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: valid for the thread's whole life.
    let saved = unsafe { *errno };
    // SAFETY: with SA_SIGINFO the kernel gives a valid siginfo. sigaction(2): codes up to 0 are of senders.
    let sent = unsafe { (*info).si_code } <= 0;
    let bytes = [signal as u8, sent.into()];
    // SAFETY: write is async-signal-safe and the bytes live; the pipe is never closed, and if it is full it wakes anyway.
    unsafe { libc::write(CAUGHT.load(Ordering::Relaxed), bytes.as_ptr().cast(), bytes.len()) };
    // SAFETY: as above.
    unsafe { *errno = saved };
}

/// The first `count` descriptors after standard error that are open: those that a service manager passed. For the start of
/// the process, before any of them could be our own.
pub fn passed(count: c_int) -> Vec<OwnedFd> {
    let open = |&fd: &c_int| {
        // SAFETY: only asks.
        unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
    };
    // SAFETY: open, and nobody's: nothing has been opened yet.
    (3..3_i32.saturating_add(count)).take_while(open).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It exited with that code.
    Exited(u8),
    /// That signal ended it.
    Killed(u8),
}

impl Status {
    /// As shells have it: 128 + n for a signal.
    pub fn code(self) -> u8 {
        match self {
            Status::Exited(code) => code,
            Status::Killed(signal) => signal.saturating_add(128),
        }
    }
}

/// Reaps one child that has ended, whichever it is. `None`: no other has ended yet, or there are none.
pub fn reap() -> Option<(Pid, Status)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` lives. Nothing else in this process waits for children.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        let pid = Pid::from_raw(pid.max(0))?;
        if libc::WIFEXITED(status) {
            return Some((pid, Status::Exited(libc::WEXITSTATUS(status) as u8)));
        }
        if libc::WIFSIGNALED(status) {
            return Some((pid, Status::Killed(libc::WTERMSIG(status) as u8)));
        }
    }
}

/// One datagram: how long it is, who sent it by the kernel's word, and what descriptors came with it.
pub struct Datagram {
    /// 0: a process of another pid namespace.
    pub sender: libc::pid_t,
    pub length: usize,
    pub descriptors: Vec<OwnedFd>,
}

/// systemd's own limit (NOTIFY_FD_MAX), below the kernel's of 253.
const MOST_DESCRIPTORS: usize = 240;

/// Receives a datagram with the sender's credentials (SO_PASSCRED is set). Does not wait.
pub fn receive(socket: &OwnedFd, bytes: &mut [u8]) -> io::Result<Datagram> {
    // u64s, since control messages want their alignment.
    let mut control = [0_u64; (MOST_DESCRIPTORS * size_of::<c_int>() + size_of::<libc::ucred>() + 64) / 8];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all-zero is a valid msghdr: nothing to receive into.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: `message` points to `bytes` and `control`, of the lengths it says, which outlive the call.
    let read = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT) };
    if read < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut datagram = Datagram { sender: 0, length: read as usize, descriptors: vec![] };
    // SAFETY: `message` is as the kernel filled it; both macros stay within its control buffer.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    while !header.is_null() {
        // SAFETY: not null, hence a whole header within the control buffer, with its data behind it.
        let (kind, length, data) =
            unsafe { ((*header).cmsg_type, (*header).cmsg_len as usize, libc::CMSG_DATA(header)) };
        // SAFETY: only computes.
        let length = length - unsafe { libc::CMSG_LEN(0) } as usize;
        match kind {
            libc::SCM_CREDENTIALS if length >= size_of::<libc::ucred>() => {
                // SAFETY: the kernel put a ucred there; it need not be aligned.
                datagram.sender = unsafe { std::ptr::read_unaligned(data.cast::<libc::ucred>()) }.pid;
            }
            libc::SCM_RIGHTS => {
                for at in 0..length / size_of::<c_int>() {
                    // SAFETY: so many descriptors lie there, open, and nobody's but ours.
                    let fd = unsafe { OwnedFd::from_raw_fd(std::ptr::read_unaligned(data.cast::<c_int>().add(at))) };
                    datagram.descriptors.push(fd);
                }
            }
            _ => {}
        }
        // SAFETY: as for the first.
        header = unsafe { libc::CMSG_NXTHDR(&message, header) };
    }
    Ok(datagram)
}
