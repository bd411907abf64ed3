//! The command that is supervised: this process's own environment, but for what would name the wrong process in it.

use crate::output;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, id};

/// As shells have it: found but not to be executed, and not found.
const CANNOT_EXECUTE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The hidden command by which a service is started that is to inherit sockets: `LISTEN_PID` must be the number of the
/// process that reads it, which nobody knows before it exists (sd_listen_fds(3)).
pub const ACTIVATE: &str = "activate";

/// `socket`: where the service is to have its coordination socket, if that was said.
pub fn command(words: &[OsString], notify_socket: &str, socket: Option<&Path>) -> Command {
    let mut command = if inherits_sockets() {
        let mut ourselves = Command::new("/proc/self/exe");
        ourselves.args([ACTIVATE, "--"]).args(words);
        ourselves
    } else {
        plain(words)
    };
    command.env("NOTIFY_SOCKET", notify_socket);
    // Whoever is main pings, and we pass it on, if it is us from whom that is wanted.
    if is_us("WATCHDOG_PID") {
        command.env_remove("WATCHDOG_PID");
    }
    if let Some(socket) = socket {
        command.env("SHELLFLIP_SOCKET", socket);
    }
    command
}

/// Becomes the command, as the process that the inherited sockets are for.
pub fn activate(words: &[OsString]) -> ExitCode {
    let error = plain(words).env("LISTEN_PID", id().to_string()).exec();
    ExitCode::from(cannot_run(words, &error))
}

/// Says why the command cannot be run; gives the exit code for it.
pub fn cannot_run(words: &[OsString], error: &io::Error) -> u8 {
    let name = program(words).to_string_lossy();
    let not_found = error.kind() == io::ErrorKind::NotFound;
    let hint = if not_found { "is it in PATH?" } else { "it must be an executable file" };
    output::aside(&format!("shellflip run: cannot run {}: {error}; {hint}", output::clean(&name)));
    if not_found { NOT_FOUND } else { CANNOT_EXECUTE }
}

fn plain(words: &[OsString]) -> Command {
    let mut command = Command::new(program(words));
    command.args(words.iter().skip(1));
    command
}

fn program(words: &[OsString]) -> &OsStr {
    words.first().map(OsString::as_os_str).unwrap_or_default()
}

/// How many descriptors a service manager has passed to us (sd_listen_fds(3)).
pub fn passed() -> i32 {
    if !inherits_sockets() {
        return 0;
    }
    env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn inherits_sockets() -> bool {
    env::var_os("LISTEN_FDS").is_some() && is_us("LISTEN_PID")
}

fn is_us(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|pid| pid == *id().to_string())
}
