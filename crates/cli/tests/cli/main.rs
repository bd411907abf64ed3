//! The command against services of both kinds: ours on the core's own server, and the Rust crate's.

#![allow(clippy::unwrap_used, reason = "clippy does not see that the helpers of an integration test are tests too")]

mod fake;
mod restart;
mod status;
mod stop;
mod terminal;
mod usage;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command, away from the environment of whoever runs the tests.
fn shellflip(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shellflip"));
    for key in ["SHELLFLIP_SOCKET", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "NO_COLOR"] {
        command.env_remove(key);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], socket: &Path) -> Outcome {
    shellflip(arguments).arg("--socket").arg(socket).output().unwrap().into()
}

#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Outcome {
    fn json(&self) -> serde_json::Value {
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}
