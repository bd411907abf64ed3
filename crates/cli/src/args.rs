//! The command line as it is typed.

use clap::{Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(name = "shellflip", version, arg_required_else_help = true, after_help = EXIT_CODES)]
/// Restart a running service with zero downtime, look at it, stop it, or run one
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed or refused; the service goes on as it was, unless it says that it is draining
  2  wrong usage
  3  no service there
  4  a restart is in progress
  5  outcome unknown: time-out or Ctrl-C; the service goes on with what it was asked

Without --socket: $SHELLFLIP_SOCKET, else $RUNTIME_DIRECTORY/shellflip.sock, else the one
service that runs in $XDG_RUNTIME_DIR or <tmpdir>/shellflip-<uid>.";

#[derive(Subcommand)]
pub enum Command {
    /// Replace the service by a new generation and wait until that serves
    Restart(Restart),
    /// Show the generations of the service
    Status(Status),
    /// Let the service drain and end, and wait for its end
    Stop(Stop),
    /// Stay in front of a service in the foreground while its generations change
    Run(Run),
    /// What `run` starts a service by that inherits sockets: see there
    #[command(hide = true)]
    Activate {
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
}

impl Command {
    /// Whether the answer, good or bad, is wanted as JSON.
    pub fn json(&self) -> bool {
        match self {
            Command::Restart(options) => options.json,
            Command::Status(options) => options.json,
            Command::Stop(_) | Command::Run(_) | Command::Activate { .. } => false,
        }
    }
}

#[derive(clap::Args)]
pub struct Restart {
    /// The service's coordination socket
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Seconds to wait for the outcome; 0 waits for ever
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub timeout: Duration,
    /// Print the outcome as one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct Status {
    /// The service's coordination socket
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print the status as one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct Stop {
    /// The service's coordination socket
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Seconds to wait for the end; 0 waits for ever
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub timeout: Duration,
}

const RUN_STATUS: &str =
    "Signals TERM, INT, HUP, USR1, USR2 and WINCH go to the current generation. After TERM or INT the
service is to end: even one that goes on after INT is not started again, and killed after
--kill-timeout. TERM twice kills all at once. A generation that appears later is killed, too.

Exit status: that of the last generation, 128 + n if signal n ended it; 127 if the command is
not found, 126 if it cannot be executed.";

#[derive(clap::Args)]
#[command(after_help = RUN_STATUS)]
pub struct Run {
    /// Where the service is to have its coordination socket (its $SHELLFLIP_SOCKET)
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Whether to start the service again when its last generation has ended, unless TERM or INT told us to end it: after
    /// 0.1 s, doubling to 10 s for as long as it ends within 10 s
    #[arg(long, value_name = "WHEN", default_value = "never")]
    pub restart: Policy,
    /// Seconds from the first TERM or INT to killing what is left; 0 waits for ever [default: 0]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub kill_timeout: Option<Duration>,
    /// Write our pid, which stays the same, to this file
    #[arg(long, value_name = "PATH")]
    pub pid_file: Option<PathBuf>,
    /// The service: the program itself, not a wrapper such as `npm start`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// When `shellflip run` starts a service again. Not after TERM or INT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// We end with the service
    Never,
    /// Unless the exit code was 0
    OnFailure,
    /// Whatever the exit code
    Always,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wanted = "a number of seconds is wanted, such as 30 or 0.5";
    let seconds: f64 = text.parse().map_err(|_| wanted.to_owned())?;
    if seconds == 0.0 {
        return Ok(Duration::MAX);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_positive_numbers_and_zero_is_for_ever() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::MAX));
        for wrong in ["", "-1", "inf", "NaN", "1s", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
