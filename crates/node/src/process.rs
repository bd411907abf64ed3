//! What concerns this process as a whole: what it was started with, and replacing it.

use crate::convert::NativeFailure;
use napi_derive::napi;
use rustix::fs::OFlags;
use rustix::io::FdFlags;
use shellflip_core::channel::send_now;
use shellflip_core::environment::{self, Inheritance, Process};
use shellflip_core::handover::Reader;
use shellflip_core::message::Frame;
use shellflip_core::sys::with_borrowed;
use shellflip_core::{Failure, coordination};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What an old generation left for this process.
#[napi(object)]
#[derive(Clone)]
pub struct NativeInheritance {
    /// 1 in the first.
    pub generation: u32,
    /// An old generation started this process.
    pub old: bool,
    /// It is one of this package, which speaks over a channel.
    pub channel: bool,
    /// The variables that were taken out of the native environment.
    pub wiped: Vec<String>,
    /// What was ignored, and why.
    pub warnings: Vec<String>,
    /// ERR_SHELLFLIP_INHERITANCE: what was handed over is not whole.
    pub failure: Option<NativeFailure>,
}

struct Found {
    handover: Option<Reader>,
    shown: NativeInheritance,
    rest: Mutex<Option<Inheritance>>,
}

fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let inheritance = environment::read(&Process);
        Found {
            shown: NativeInheritance {
                generation: inheritance.generation,
                old: inheritance.is_successor(),
                channel: inheritance.channel.is_some(),
                wiped: inheritance.wiped.clone(),
                warnings: inheritance.warnings.clone(),
                failure: inheritance.broken.clone().map(NativeFailure::from),
            },
            handover: inheritance.handover.clone(),
            rest: Mutex::new(Some(inheritance)),
        }
    })
}

/// Reads, validates and wipes what an old generation left in the environment, at the first call; later ones say the same.
#[napi]
pub fn inheritance() -> NativeInheritance {
    found().shown.clone()
}

/// The handover pipe's reading end.
pub(crate) fn inherited_pipe() -> Option<Reader> {
    found().handover.clone()
}

/// The inheritance itself, for the first engine. A later one starts as if alone.
pub(crate) fn take_inheritance() -> Inheritance {
    let taken = found().rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    taken.unwrap_or_else(|| Inheritance { generation: found().shown.generation, ..Inheritance::default() })
}

/// This generation is about to end of that error, and no engine has begun: the old one tells whoever asked.
#[napi]
pub fn failing(message: String) {
    let rest = found().rest.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, end)) = rest.as_ref().and_then(|rest| rest.channel.as_ref()) {
        send_now(end.as_fd(), &Frame::Failing(message));
    }
}

/// Where the coordination socket is when nobody says so.
#[napi(object)]
pub struct NativeSocketPath {
    /// The path.
    pub path: Option<String>,
    /// It was asked for by $SHELLFLIP_SOCKET, not derived.
    pub explicit: bool,
    /// Why there is none.
    pub failure: Option<NativeFailure>,
}

/// $SHELLFLIP_SOCKET, else $RUNTIME_DIRECTORY/shellflip.sock, else a path of this user's made from name and script.
#[napi]
pub fn default_socket_path(name: String, script: String) -> NativeSocketPath {
    let explicit = coordination::explicit_path().is_some();
    match coordination::default_path(&name, &script) {
        Ok(path) => NativeSocketPath { path: Some(path.to_string_lossy().into_owned()), explicit, failure: None },
        Err(failure) => NativeSocketPath { path: None, explicit, failure: Some(failure.into()) },
    }
}

/// Replaces this process by a program (execve(2)) that keeps its pid, its standard streams, the sockets of
/// socket activation and its environment. Returns only if that failed.
#[napi]
pub fn exec_replace(file: String, args: Vec<String>) -> NativeFailure {
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        // Node has made all three close-on-exec.
        let _ = rustix::io::fcntl_setfd(stream, FdFlags::empty());
    }
    // And those that a service manager opened for this process.
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<u16>().ok());
    let for_us = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    for fd in (3..).take(count.filter(|_| for_us).unwrap_or(0).into()) {
        with_borrowed(fd, |fd| rustix::io::fcntl_setfd(fd, FdFlags::empty()));
    }
    let error = std::process::Command::new(file).args(args).exec();
    Failure::system("execve", &error).into()
}

/// Closes a descriptor that a claim gave and nobody took: Deno's own close knows only what Deno opened.
#[napi]
pub fn close_descriptor(fd: i32) {
    drop(shellflip_core::sys::adopt(fd));
}

/// The arguments that the kernel knows of this process, as they were at load; empty where it does not tell.
#[napi]
pub fn command_line() -> Vec<String> {
    static SAVED: OnceLock<Vec<String>> = OnceLock::new();
    let read = || {
        let bytes = std::fs::read("/proc/self/cmdline").unwrap_or_default();
        let ended = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
        let one = |argument: &[u8]| String::from_utf8_lossy(argument).into_owned();
        if ended.is_empty() { vec![] } else { ended.split(|&byte| byte == 0).map(one).collect() }
    };
    SAVED.get_or_init(read).clone()
}

/// Sets O_NONBLOCK again on standard output and error where they are pipes or sockets: the old generation, as it
/// exited, took it from everybody who shares them.
#[napi]
pub fn restore_stdio_nonblock() {
    for stream in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        if is_pipe_or_socket(stream)
            && let Ok(flags) = rustix::fs::fcntl_getfl(stream)
        {
            let _ = rustix::fs::fcntl_setfl(stream, flags | OFlags::NONBLOCK);
        }
    }
}

fn is_pipe_or_socket(stream: BorrowedFd<'_>) -> bool {
    use rustix::fs::FileType;
    let kind = rustix::fs::fstat(stream).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}
