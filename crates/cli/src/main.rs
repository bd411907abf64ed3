//! `shellflip`: asks a running service to restart, to describe itself or to stop, and waits for the outcome.
//!
//! It only asks: giving up, by time-out or Ctrl-C, cancels nothing. Its exit codes are a promise to scripts.

mod age;
mod args;
mod locate;
mod output;
mod progress;
mod restart;
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
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => output::fail(&trouble, json),
    }
}
