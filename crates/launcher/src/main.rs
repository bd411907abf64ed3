//! The launcher: starts one new generation, is its parent while it becomes ready, and reports how it ended.
//!
//! Single-threaded. It holds no descriptor but its own, and leaves the new generation alone as soon as it is told to,
//! or when the old one dies. Exit code 0 says that it came to its end in an orderly way, whatever the new one did.

mod child;
mod control;
mod sys;
mod watch;

use rustix::io::Errno;
use shellflip_launcher::{Report, Stage};
use std::process::ExitCode;

fn main() -> ExitCode {
    sys::close_from(3);
    sys::ignore_signals();
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(c"shellflip");

    let started = match control::receive() {
        Ok(Some((start, descriptors))) => watch::start(start, descriptors),
        Ok(None) => return ExitCode::SUCCESS,
        Err(errno) => Err((Stage::Start, errno)),
    };
    match started {
        Ok(generation) => generation.watch(),
        Err((stage, errno)) => control::report(Report::Failed { stage, errno: errno.raw_os_error() }),
    }
    .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// What went wrong, and how far it had come.
type Failed = (Stage, Errno);
