//! `shellflip`: asks a running service to restart, to describe itself or to stop, and waits for the outcome; or runs one.
//!
//! Asking only asks: giving up, by time-out or Ctrl-C, cancels nothing. The exit codes are a promise to scripts.

mod age;
mod args;
mod locate;
mod output;
mod progress;
mod restart;
#[cfg(target_os = "linux")]
mod run;
mod status;
mod stop;
mod trouble;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;
use trouble::Trouble;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(help) => {
            let _ = help.print();
            return ExitCode::from(if help.use_stderr() { trouble::Exit::Usage as u8 } else { 0 });
        }
    };
    // Neither needs the runtime.
    match args.command {
        Command::Run(options) => return supervised::run(options),
        Command::Activate { command } => return supervised::activate(&command),
        _ => {}
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&Trouble::system("epoll_create", &error), false),
    };
    let json = args.command.json();
    let done = runtime.block_on(async {
        match args.command {
            Command::Restart(options) => restart::run(options).await,
            Command::Status(options) => status::run(options).await,
            Command::Stop(options) => stop::run(options).await,
            Command::Run(_) | Command::Activate { .. } => Ok(()),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => output::fail(&trouble, json),
    }
}

#[cfg(target_os = "linux")]
mod supervised {
    pub use super::run::command::activate;
    pub use super::run::run;
}

/// Elsewhere no process can have others' orphans for its children.
#[cfg(not(target_os = "linux"))]
mod supervised {
    use super::*;

    pub fn run(_options: args::Run) -> ExitCode {
        let text = "run: only Linux lets a program stay the parent of every generation (PR_SET_CHILD_SUBREAPER); start \
                    the service directly";
        output::fail(&Trouble::answered(shellflip_core::Failure::new(shellflip_core::Code::Unsupported, text)), false)
    }

    pub fn activate(_command: &[std::ffi::OsString]) -> ExitCode {
        ExitCode::FAILURE
    }
}
