//! The coordination socket: where a restart, a status or a stop is asked for and answered.
//!
//! Exactly one generation answers it at a time. Each connection carries one question and one answer, framed and worded
//! exactly as the crate `shellflip` does it; `Status` and `Stop` are variants of ours, which a Rust service refuses by
//! closing. What the answer is, `restart` decides: this module only carries it.

mod bind;
mod client;
pub(crate) mod frame;
mod path;
mod place;
mod probe;
mod server;
mod session;

pub use bind::{Bound, adopt, bind};
pub use client::{CONNECT_TIMEOUT, Client};
pub use frame::{MAX_ANSWER, MAX_QUESTION};
pub use path::{Search, default_path, discover, explicit_path};
pub use probe::{Probe, probe};
pub(crate) use server::Waiter;
pub use server::{MAX_CLIENTS, SILENCE, Server, Unanswered};
pub use session::{Connected, Restarted, Session, restart_blocking};

use crate::Failure;
use tokio::sync::oneshot;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Start the next generation and say how it went: the crate's `TryRestart`.
    Restart,
    /// Describe this service.
    Status,
    /// Drain and end.
    Stop,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The new generation serves; its pid.
    Complete(u32),
    /// The question was refused, or what it asked for failed; the old generation goes on.
    Failed(Failure),
    /// The service as `ServiceStatus` describes it.
    Status(serde_json::Value),
    /// The process with this pid is about to drain; the connection ends when it does.
    Stopping(u32),
}

/// A question that waits for its answer.
///
/// Dropping `reply` closes the connection. A client that went away shows as a closed `reply` and cancels nothing.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub ask: Ask,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 128;

#[cfg(test)]
mod tests;
