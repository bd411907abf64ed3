//! What the engine's thread holds while it runs: all of it in one place, for the loop and its hands.

use super::attempt::Attempt;
use super::clients::{Asker, Undone};
use super::manager::Manager;
use super::store::Store;
use super::succession::Elder;
use super::{Command, Options, Shared, Sink};
use crate::coordination::{Answer, Bound, Question, Server, Unanswered};
use crate::handover::Reader;
use crate::message::Hello;
use crate::pid_file::PidFile;
use crate::restart::{Reason, Restart};
use crate::successor::{self, Successor};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// What the thread holds while it runs.
pub(crate) struct Running {
    pub options: Options,
    pub sink: Sink,
    pub shared: Arc<Shared>,
    pub commands: mpsc::UnboundedSender<Command>,
    pub questioner: mpsc::UnboundedSender<Question>,
    pub restart: Restart,
    pub successor: Successor,
    pub readiness: Option<OwnedFd>,
    pub reader: Option<Reader>,
    pub elder: Option<Elder>,
    pub elder_hello: Option<Hello>,
    pub bound: Option<Bound>,
    pub stale: Option<Bound>,
    pub server: Option<Server>,
    /// Why nobody can reach the coordination socket by its path, while that is so.
    pub lost_socket: Option<String>,
    /// The clients of this generation's servers, which outlive them.
    pub unanswered: Unanswered,
    pub manager: Manager,
    pub store: Store,
    pub pid_file: Option<PidFile>,
    pub attempt: Option<Attempt>,
    pub asker: Asker,
    pub begun: Instant,
    pub attempts: u32,
    pub deadline: Option<Instant>,
    pub statuses: HashMap<u32, oneshot::Sender<Answer>>,
    pub last_status: u32,
    pub draining: Option<Reason>,
    /// A restart that failed, while its hook runs.
    pub undone: Option<Undone>,
    /// Told to end before the service was ours.
    pub told_to_end: bool,
}

impl Running {
    /// One at its start: nothing was inherited, and nothing goes on.
    pub fn new(
        options: Options,
        sink: Sink,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedSender<Command>,
        questioner: mpsc::UnboundedSender<Question>,
        old: successor::Old,
    ) -> Running {
        Running {
            options,
            sink,
            shared,
            commands,
            questioner,
            restart: Restart::default(),
            successor: Successor::new(old),
            readiness: None,
            reader: None,
            elder: None,
            elder_hello: None,
            bound: None,
            stale: None,
            server: None,
            lost_socket: None,
            unanswered: Unanswered::default(),
            manager: Manager::default(),
            store: Store::default(),
            pid_file: None,
            attempt: None,
            asker: Asker::Nobody,
            begun: Instant::now(),
            attempts: 0,
            deadline: None,
            statuses: HashMap::new(),
            last_status: 0,
            draining: None,
            undone: None,
            told_to_end: false,
        }
    }
}
