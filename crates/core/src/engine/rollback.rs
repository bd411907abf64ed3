//! A restart that failed: what was started is ended, the application's hook runs, and only then is anybody told, so that
//! whoever hears of the failure can ask for the next restart.

use super::clients::{Asker, Undone};
use super::running::Running;
use super::{Command, Event, lock};
use crate::error::Failure;
use crate::restart;
use std::time::Duration;

/// Whoever asked waits for a hook that does not settle, or for a blocked event loop, no longer than this.
const HOOK_TIMEOUT: Duration = Duration::from_secs(5);

impl Running {
    pub(super) fn roll_back(&mut self, failure: Failure) {
        self.deadline = None;
        lock(&self.shared.view).preparing = None;
        let asker = std::mem::replace(&mut self.asker, Asker::Nobody);
        let undone = Undone {
            attempt: self.attempts,
            asker,
            failure,
            duration_ms: self.elapsed(),
            _last_words: self.unanswered.one(),
        };
        match self.attempt.take() {
            Some(attempt) => attempt.undo(undone, self.commands.clone()),
            None => self.ended(undone),
        }
    }

    pub(super) fn take_back(&mut self, failure: Failure) {
        self.tell_taken_back();
        self.write_pid_file();
        self.answer_clients();
        self.check_socket();
        (self.sink)(Event::Resume);
        self.roll_back(failure);
    }

    /// Nothing is left of what was started: the hook, if there is one.
    pub(super) fn ended(&mut self, undone: Undone) {
        if !self.options.undo_hook {
            return self.rolled_back(undone);
        }
        let attempt = undone.attempt;
        (self.sink)(Event::Undo { attempt, failure: undone.failure.clone() });
        self.undone = Some(undone);
        let commands = self.commands.clone();
        tokio::spawn(async move {
            tokio::time::sleep(HOOK_TIMEOUT).await;
            let _ = commands.send(Command::Undone { attempt, late: true });
        });
    }

    /// The hook is done, or its time is over.
    pub(super) fn undone(&mut self, attempt: u32, late: bool) {
        let Some(undone) = self.undone.take_if(|undone| undone.attempt == attempt) else { return };
        if late {
            let seconds = HOOK_TIMEOUT.as_secs();
            self.warn(format!(
                "lifecycle.newProcessFailed has not settled within {seconds} s, or the event loop was blocked; \
                 nobody waits for it any longer"
            ));
        }
        self.rolled_back(undone);
    }

    pub(super) fn rolled_back(&mut self, undone: Undone) {
        lock(&self.shared.registry).own();
        self.name_next(None);
        self.tell_failed(&undone.failure);
        self.step(restart::Event::RolledBack);
        let asked = undone.asker.waits();
        undone.asker.fail(&undone.failure, undone.duration_ms, &self.sink);
        (self.sink)(Event::RolledBack { failure: undone.failure, asked });
    }
}
