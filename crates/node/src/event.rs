//! The engine's events as JavaScript sees them.

use crate::convert::NativeFailure;
use napi_derive::napi;
use shellflip_core::engine::Event;
use shellflip_core::message::Handover;
use shellflip_core::restart::Reason;

/// What the engine tells. `type` says which.
#[napi(discriminant = "type", discriminant_case = "camelCase")]
pub enum NativeEvent {
    Started {
        socket: Option<String>,
        warnings: Vec<String>,
        #[napi(ts_type = "'value' | 'raw' | 'none'")]
        handover: String,
        old_pid: Option<u32>,
    },
    Failed {
        failure: NativeFailure,
    },
    Prepare {
        attempt: u32,
        generation: u32,
    },
    Restarting {
        pid: u32,
    },
    Handover {
        attempt: u32,
    },
    HandoverRoom,
    Commit,
    Aborted {
        message: String,
    },
    Adopted,
    Release,
    Resume,
    Outcome {
        id: u32,
        pid: Option<u32>,
        generation: Option<u32>,
        duration_ms: f64,
        failure: Option<NativeFailure>,
    },
    Restarted {
        pid: u32,
        generation: u32,
        duration_ms: f64,
    },
    Undo {
        attempt: u32,
        failure: NativeFailure,
    },
    RolledBack {
        failure: NativeFailure,
        asked: bool,
    },
    Drain {
        #[napi(ts_type = "'restart' | 'shutdown'")]
        reason: String,
    },
    Status {
        id: u32,
    },
    Socket {
        path: Option<String>,
    },
    OldGone,
    Warning {
        message: String,
    },
    Trace {
        message: String,
    },
}

impl From<Event> for NativeEvent {
    fn from(event: Event) -> Self {
        match event {
            Event::Started { socket, warnings, handover, old_pid } => NativeEvent::Started {
                socket: socket.map(|path| path.to_string_lossy().into_owned()),
                warnings,
                handover: handover_name(handover).into(),
                old_pid,
            },
            Event::Failed { failure } => NativeEvent::Failed { failure: failure.into() },
            Event::Prepare { attempt, generation } => NativeEvent::Prepare { attempt, generation },
            Event::Restarting { pid } => NativeEvent::Restarting { pid },
            Event::Handover { attempt } => NativeEvent::Handover { attempt },
            Event::HandoverRoom => NativeEvent::HandoverRoom,
            Event::Commit => NativeEvent::Commit,
            Event::Aborted { message } => NativeEvent::Aborted { message },
            Event::Adopted => NativeEvent::Adopted,
            Event::Release => NativeEvent::Release,
            Event::Resume => NativeEvent::Resume,
            Event::Outcome { id, pid, generation, duration_ms, failure } => NativeEvent::Outcome {
                id,
                pid,
                generation,
                duration_ms: duration_ms as f64,
                failure: failure.map(Into::into),
            },
            Event::Restarted { pid, generation, duration_ms } => {
                NativeEvent::Restarted { pid, generation, duration_ms: duration_ms as f64 }
            }
            Event::Undo { attempt, failure } => NativeEvent::Undo { attempt, failure: failure.into() },
            Event::RolledBack { failure, asked } => NativeEvent::RolledBack { failure: failure.into(), asked },
            Event::Drain { reason: Reason::Restart } => NativeEvent::Drain { reason: "restart".into() },
            Event::Drain { reason: Reason::Shutdown } => NativeEvent::Drain { reason: "shutdown".into() },
            Event::Status { id } => NativeEvent::Status { id },
            Event::Socket { path } => {
                NativeEvent::Socket { path: path.map(|path| path.to_string_lossy().into_owned()) }
            }
            Event::OldGone => NativeEvent::OldGone,
            Event::Warning { message } => NativeEvent::Warning { message },
            Event::Trace { message } => NativeEvent::Trace { message },
        }
    }
}

fn handover_name(handover: Handover) -> &'static str {
    match handover {
        Handover::None => "none",
        Handover::Value => "value",
        Handover::Raw => "raw",
    }
}
