//! What the engine's thread is told: by JavaScript, and by its own tasks when what they waited for has happened.

use super::{clients, launch};
use std::io;

/// One thing to do. `attempt` says which restart it belongs to: what comes late for another one is dropped.
pub(crate) enum Command {
    Ready,
    Serving,
    Restart(u32),
    Launched {
        attempt: u32,
        launched: Box<launch::Launched>,
    },
    PrepareFailed {
        attempt: u32,
        message: String,
    },
    HandoverDone {
        attempt: u32,
        failure: Option<String>,
    },
    /// The handover failed a moment ago, and nothing has been heard of the new generation's death.
    HandoverFailed {
        attempt: u32,
        message: String,
    },
    /// The readiness pipe was closed a moment ago, and nothing has been heard of the new generation's death.
    ReadinessClosed {
        attempt: u32,
    },
    Released,
    Shutdown,
    /// A shutdown has waited for ADOPTED for as long as it may.
    ShutdownDue,
    Drained(std::sync::mpsc::Sender<()>),
    Status(u32, Option<String>),
    /// Nothing is left of what was started.
    Ended(Box<clients::Undone>),
    /// The hook of a failed restart is done, or its time is over.
    Undone {
        attempt: u32,
        late: bool,
    },
    Notified {
        attempt: u32,
        told: io::Result<()>,
    },
    Report(super::manager::Report),
    /// The event loop turns.
    Alive,
    /// The listeners in use have changed.
    Listening,
    Quit,
}
