//! What the engine tells JavaScript, and where it goes.

use crate::error::Failure;
use crate::message::Handover;
use crate::restart::Reason;
use std::path::PathBuf;
use std::sync::Arc;

/// What the engine tells JavaScript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It runs; every inherited listener can be claimed.
    Started {
        /// Where the coordination socket is.
        socket: Option<PathBuf>,
        /// What was ignored, and why.
        warnings: Vec<String>,
        /// How to read what the old generation hands over.
        handover: Handover,
        /// The old generation's process, if it said.
        old_pid: Option<u32>,
    },
    /// It cannot run, or not any more.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Run the hook before a restart, work out the launch, then [`super::Engine::launch`] or [`super::Engine::prepare_failed`].
    Prepare {
        /// Which restart this is; the answer names it.
        attempt: u32,
        /// The number of the generation to be started.
        generation: u32,
    },
    /// The new generation's process exists.
    Restarting {
        /// Its pid.
        pid: u32,
    },
    /// Send the handover, then [`super::Engine::handover_done`].
    Handover {
        /// Which restart this is; the answer names it.
        attempt: u32,
    },
    /// The handover pipe, which was full, takes bytes again.
    HandoverRoom,
    /// Begin to accept, then [`super::Engine::serving`] in the same turn.
    Commit,
    /// The restart that started this process was called off: end.
    Aborted {
        /// Why.
        message: String,
    },
    /// The service is this generation's own.
    Adopted,
    /// Stop accepting, then [`super::Engine::released`].
    Release,
    /// The new generation died at the last moment: accept again.
    Resume,
    /// What became of a restart that was asked for by id.
    Outcome {
        /// The id.
        id: u32,
        /// The new generation's process.
        pid: Option<u32>,
        /// Its number.
        generation: Option<u32>,
        /// From the request to now, in milliseconds.
        duration_ms: u64,
        /// Why it failed.
        failure: Option<Failure>,
    },
    /// A restart succeeded.
    Restarted {
        /// The new generation's process.
        pid: u32,
        /// Its number.
        generation: u32,
        /// From the request to now, in milliseconds.
        duration_ms: u64,
    },
    /// A restart failed, and what was started is gone: run the hook, then [`super::Engine::undone`]. Only where
    /// [`super::Options::undo_hook`] says that there is one.
    Undo {
        /// Which restart this is; the answer names it.
        attempt: u32,
        /// Why it failed.
        failure: Failure,
    },
    /// A restart failed, nothing is left of it, and the next one may begin.
    RolledBack {
        /// Why.
        failure: Failure,
        /// Whoever asked for it has been told.
        asked: bool,
    },
    /// Begin to drain.
    Drain {
        /// Why.
        reason: Reason,
    },
    /// Answer with [`super::Engine::reply_status`].
    Status {
        /// The question's id.
        id: u32,
    },
    /// Where the coordination socket can be reached now: [`Event::Started`] said it first.
    Socket {
        /// `None`: its file is gone, or another process's.
        path: Option<PathBuf>,
    },
    /// The old generation has ended.
    OldGone,
    /// Worth telling the operator.
    Warning {
        /// What.
        message: String,
    },
    /// Worth telling whoever set NODE_DEBUG=shellflip.
    Trace {
        /// What.
        message: String,
    },
}

/// Where events go. Called on the engine's thread; must not wait.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;
