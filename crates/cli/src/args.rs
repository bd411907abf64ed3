//! The command line as it is typed.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(name = "shellflip", version, arg_required_else_help = true, after_help = EXIT_CODES)]
/// Restart a running service with zero downtime, look at it, or stop it
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
}

impl Command {
    /// Whether the answer, good or bad, is wanted as JSON.
    pub fn json(&self) -> bool {
        match self {
            Command::Restart(options) => options.json,
            Command::Status(options) => options.json,
            Command::Stop(_) => false,
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
