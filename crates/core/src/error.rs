//! Every way this library fails: a closed set of codes that survive the addon boundary and the crate's wire.

use serde::{Deserialize, Serialize};
use std::{fmt, io};

/// The stable part of an error: programs match on it, so a variant is never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// An option or argument is unusable.
    InvalidArg,
    /// Not possible on this platform or in this environment.
    Unsupported,
    /// What the old generation handed over is broken.
    Inheritance,
    /// A listener cannot be claimed or bound as asked.
    Listener,
    /// Another live process answers the coordination socket.
    SocketInUse,
    /// Nothing answers the coordination socket.
    NoService,
    /// The service has not become ready yet.
    NotReady,
    /// A restart is already going on.
    RestartInProgress,
    /// The service is draining.
    Draining,
    /// The new generation could not be started.
    SpawnFailed,
    /// A lifecycle hook or the handover failed.
    HandoverFailed,
    /// The new generation ended before it served, or gave up and was ended.
    GenerationExited,
    /// The new generation was not ready in time.
    ReadyTimeout,
}

impl Code {
    /// Every code, for tables and tests.
    pub const ALL: [Code; 13] = [
        Code::InvalidArg,
        Code::Unsupported,
        Code::Inheritance,
        Code::Listener,
        Code::SocketInUse,
        Code::NoService,
        Code::NotReady,
        Code::RestartInProgress,
        Code::Draining,
        Code::SpawnFailed,
        Code::HandoverFailed,
        Code::GenerationExited,
        Code::ReadyTimeout,
    ];

    /// The code as programs see it: `ERR_SHELLFLIP_` and the variant's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidArg => "ERR_SHELLFLIP_INVALID_ARG",
            Code::Unsupported => "ERR_SHELLFLIP_UNSUPPORTED",
            Code::Inheritance => "ERR_SHELLFLIP_INHERITANCE",
            Code::Listener => "ERR_SHELLFLIP_LISTENER",
            Code::SocketInUse => "ERR_SHELLFLIP_SOCKET_IN_USE",
            Code::NoService => "ERR_SHELLFLIP_NO_SERVICE",
            Code::NotReady => "ERR_SHELLFLIP_NOT_READY",
            Code::RestartInProgress => "ERR_SHELLFLIP_RESTART_IN_PROGRESS",
            Code::Draining => "ERR_SHELLFLIP_DRAINING",
            Code::SpawnFailed => "ERR_SHELLFLIP_SPAWN_FAILED",
            Code::HandoverFailed => "ERR_SHELLFLIP_HANDOVER_FAILED",
            Code::GenerationExited => "ERR_SHELLFLIP_GENERATION_EXITED",
            Code::ReadyTimeout => "ERR_SHELLFLIP_READY_TIMEOUT",
        }
    }
}

/// A failure with all that a caller may want to act on. Fields that do not apply are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What kind of failure; `None` for one of the system, which `errno` then names.
    pub code: Option<Code>,
    /// What happened and what to do about it, for a person.
    pub message: String,
    /// Where in the restart it happened, in DESIGN's words ("starting", "handing over", …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The process concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it, by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The system's error number, positive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// The call that failed ("listen", "bind", "open").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syscall: Option<String>,
}

impl Failure {
    /// A failure of ours.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code: Some(code), ..Failure::bare(message.into()) }
    }

    /// A failure of the system, which keeps Node's own shape (`code: 'EADDRINUSE'`, `syscall`) in JavaScript.
    pub fn system(syscall: &str, error: &io::Error) -> Self {
        let message = format!("{syscall}: {error}");
        Failure { errno: error.raw_os_error(), syscall: Some(syscall.into()), ..Failure::bare(message) }
    }

    /// Names the phase in which it happened.
    pub fn during(mut self, phase: &str) -> Self {
        self.phase = Some(phase.into());
        self
    }

    /// Names the process it is about.
    pub fn of(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// The text that crosses the crate's wire in `RestartFailed`: the code first, so that it survives.
    pub fn wire(&self) -> String {
        let code = self.code.unwrap_or(Code::SpawnFailed);
        format!("{}: {}", code.as_str(), self.message)
    }

    /// Takes the code back out of a `RestartFailed` text; a Rust service's text has none.
    pub fn from_wire(text: &str) -> Self {
        let found = Code::ALL
            .iter()
            .find_map(|&code| text.strip_prefix(code.as_str())?.strip_prefix(": ").map(|rest| (code, rest)));
        match found {
            Some((code, rest)) => Failure::new(code, rest),
            None => Failure::bare(text.into()),
        }
    }

    fn bare(message: String) -> Self {
        Failure {
            code: None,
            message,
            phase: None,
            pid: None,
            exit_code: None,
            signal: None,
            errno: None,
            syscall: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_crates_wire() {
        for code in Code::ALL {
            let failure = Failure::new(code, "reason: with a colon");
            assert_eq!(Failure::from_wire(&failure.wire()), failure);
        }
    }

    #[test]
    fn a_rust_services_text_has_no_code() {
        let failure = Failure::from_wire("Child failed to start: child failed to notify parent");
        assert_eq!(failure.code, None);
        assert_eq!(failure.message, "Child failed to start: child failed to notify parent");
    }
}
