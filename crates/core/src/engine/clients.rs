//! Who asked for a restart, and how they are answered.

use super::{Event, Sink};
use crate::coordination::{Answer, Waiter};
use crate::error::Failure;
use tokio::sync::oneshot;

/// Who asked.
pub(crate) enum Asker {
    /// A client of the coordination socket.
    Client(oneshot::Sender<Answer>),
    /// `restart()` in this process, by its id.
    Local(u32),
    /// A signal: nobody waits, but a service manager with `Type=notify-reload`.
    Nobody,
}

impl Asker {
    /// Of a request by JavaScript: 0 stands for a signal.
    pub fn local(id: u32) -> Asker {
        if id == 0 { Asker::Nobody } else { Asker::Local(id) }
    }

    pub fn waits(&self) -> bool {
        !matches!(self, Asker::Nobody)
    }

    /// A client that has gone is not told; what it asked for goes on.
    pub fn fail(self, failure: &Failure, duration_ms: u64, sink: &Sink) {
        match self {
            Asker::Client(reply) => drop(reply.send(Answer::Failed(failure.clone()))),
            Asker::Local(id) => {
                let failure = Some(failure.clone());
                sink(Event::Outcome { id, pid: None, generation: None, duration_ms, failure });
            }
            Asker::Nobody => {}
        }
    }

    pub fn succeed(self, pid: u32, generation: u32, duration_ms: u64, sink: &Sink) {
        match self {
            Asker::Client(reply) => drop(reply.send(Answer::Complete(pid))),
            Asker::Local(id) => {
                let (pid, generation) = (Some(pid), Some(generation));
                sink(Event::Outcome { id, pid, generation, duration_ms, failure: None });
            }
            Asker::Nobody => {}
        }
    }
}

/// A restart that failed, and who is to be told once nothing is left of it.
pub(crate) struct Undone {
    pub attempt: u32,
    pub asker: Asker,
    pub failure: Failure,
    pub duration_ms: u64,
    /// A process that ends meanwhile waits for it, as for any client.
    pub _last_words: Waiter,
}
