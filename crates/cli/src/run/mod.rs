//! `shellflip run`: stays in front of a service while its generations change, for whatever follows one process: a
//! container, a terminal, runit, s6, supervisord.
//!
//! Every generation becomes our child (PR_SET_CHILD_SUBREAPER, or because we are PID 1) and is reaped here, as are all
//! orphans. We end when no generation is left, as the newest of them ended.

mod above;
mod backoff;
mod begun;
pub mod command;
mod process;
mod signals;
mod socket;
mod supervisor;
mod sys;
mod tree;
mod words;

use crate::args;
use crate::output;
use crate::trouble::Trouble;

use rustix::process::{getpid, set_child_subreaper};
use shellflip_core::pid_file::PidFile;
use signals::Signals;
use socket::NotifySocket;
use std::io;
use std::process::ExitCode;
use supervisor::Supervisor;

/// Does not return before the service has ended for good.
pub fn run(options: args::Run) -> ExitCode {
    match supervise(options) {
        Ok(code) => ExitCode::from(code),
        Err(trouble) => output::fail(&trouble, false),
    }
}

fn supervise(mut options: args::Run) -> Result<u8, Trouble> {
    let system = |syscall, error: io::Error| Trouble::system(syscall, &error);
    // Before we open anything.
    let passed = sys::passed(command::passed());
    // The service may start elsewhere than we did.
    options.socket = options.socket.map(std::path::absolute).transpose().map_err(|error| system("getcwd", error))?;
    set_child_subreaper(Some(getpid())).map_err(|errno| system("prctl", errno.into()))?;
    let socket = NotifySocket::open().map_err(|error| system("bind", error))?;
    let signals = Signals::catch().map_err(|error| system("pipe", error))?;
    let _file = match options.pid_file.take() {
        Some(path) => Some(PidFile::write(path.clone()).map_err(|error| {
            let mut trouble = system("open", error);
            trouble.failure.message = format!("the pid file {}: {}", path.display(), trouble.failure.message);
            trouble
        })?),
        None => None,
    };
    Ok(Supervisor::new(options, socket, signals, passed).run())
}
