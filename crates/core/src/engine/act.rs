//! The engine's hands: what is done when `restart` or `successor` has decided.

use super::attempt::Attempt;
use super::clients::Asker;
use super::handover::Writer;
use super::launch::Launched;
use super::running::Running;
use super::succession::{Drains, Elder};
use super::{Event, Progress, lock};
use crate::coordination::{Answer, Bound};
use crate::message::{Drainer, Frame, Hello, LETS_GO};
use crate::restart::{self, Action, Peer, Reason, State};
use crate::spawn::{self, Report};
use crate::successor;
use std::time::Duration;
use tokio::time::Instant;

/// COMMIT to SERVING, and letting go: a generation that said it is ready needs no longer for either.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// A blocked event loop may keep our listeners open no longer than this.
const YIELD_TIMEOUT: Duration = Duration::from_millis(250);
/// A client that says nothing may keep a process that has drained alive no longer than this.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Running {
    pub(super) fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                // `request` answers its asker itself.
                Action::Refuse(_) => {}
                Action::Prepare => self.prepare(),
                Action::HandOver => (self.sink)(Event::Handover { attempt: self.attempts }),
                Action::Commit => {
                    self.send(Frame::Commit);
                    self.within(STEP_TIMEOUT);
                }
                Action::Release => {
                    if let Some(attempt) = &mut self.attempt {
                        attempt.launcher.release();
                    }
                    self.within(STEP_TIMEOUT);
                }
                Action::Notify => self.notify(),
                Action::Adopt => self.adopt(),
                Action::Complete => self.complete(),
                Action::RollBack(failure) => self.roll_back(failure),
                Action::TakeBack(failure) => self.take_back(failure),
                Action::PassShutdown => self.attempt.iter_mut().for_each(Attempt::shut_down),
                Action::Drain(reason) => self.drain(reason),
                Action::Log(failure) => self.warn(failure.message),
            }
        }
    }

    fn prepare(&mut self) {
        self.attempts += 1;
        self.tell_reloading();
        self.deadline = self.options.ready_timeout.map(|allowed| Instant::now() + allowed);
        let mut image = lock(&self.shared.image);
        if image.is_none() {
            match spawn::prepare() {
                Ok(made) => *image = Some(made),
                Err(error) => {
                    drop(image);
                    let what = "cannot make the launcher of the new generation ready";
                    let failure = spawn::refused(what, "memfd_create", &error).during("preparing");
                    return self.step(restart::Event::HookFailed(failure));
                }
            }
        }
        drop(image);
        self.check_socket();
        lock(&self.shared.view).preparing = Some(self.attempts);
        (self.sink)(Event::Prepare { attempt: self.attempts, generation: self.shared.generation + 1 });
    }

    pub(super) fn launched(&mut self, attempt: u32, launched: Launched) {
        let current = attempt == self.attempts && self.restart.state() == State::Preparing;
        let generation = self.shared.generation + 1;
        let made = Attempt::new(launched, generation, self.greeting());
        match made {
            Ok(made) if current => {
                lock(&self.shared.view).handover = made.handover.as_ref().map(Writer::end);
                self.attempt = Some(made);
                self.step(restart::Event::Launched);
            }
            // Its restart is over (a deadline, a shutdown): nobody waits for it.
            Ok(late) => drop(tokio::spawn(late.end("the restart is over"))),
            Err(error) if current => {
                let failure =
                    spawn::refused("cannot watch the new generation", "epoll_ctl", &error).during("preparing");
                self.step(restart::Event::HookFailed(failure));
            }
            Err(error) => self.trace(format!("a new generation that nobody waits for: {error}")),
        }
    }

    pub(super) fn greeting(&self) -> Hello {
        let mut draining: Vec<Drainer> = Vec::new();
        let mut view = lock(&self.shared.view);
        view.drainers.retain(Drains::alive);
        draining.extend(view.drainers.iter().map(Drains::show));
        Hello {
            version: self.options.versions.newest,
            min: self.options.versions.oldest,
            features: vec![LETS_GO.into()],
            pid: std::process::id(),
            generation: self.shared.generation,
            handover: self.options.handover,
            socket: self.bound.as_ref().map(|bound| bound.path().to_string_lossy().into_owned()),
            draining,
        }
    }

    /// A new generation that is about to end does not hear it any more, and has settled that it is not the service.
    fn adopt(&mut self) {
        if self.unheard(&Frame::Adopted) {
            return self.died(&Report::Gone);
        }
        self.server = None;
        self.within(YIELD_TIMEOUT);
        (self.sink)(Event::Release);
    }

    fn complete(&mut self) {
        self.deadline = None;
        // As long as anybody holds them, sockets that nobody accepts on let clients wait instead of telling them so.
        lock(&self.shared.view).socket = None;
        self.bound = None;
        let Some(attempt) = &self.attempt else { return };
        match attempt.peer() {
            Peer::Ours => lock(&self.shared.registry).release(),
            // It has none of our listeners: they end with us, and so do their socket files.
            Peer::Crate => lock(&self.shared.registry).end(),
        }
        let (pid, generation) = (attempt.pid().unwrap_or_default(), attempt.generation);
        let duration_ms = self.elapsed();
        let asker = std::mem::replace(&mut self.asker, Asker::Nobody);
        asker.succeed(pid, generation, duration_ms, &self.sink);
        (self.sink)(Event::Restarted { pid, generation, duration_ms });
    }

    fn drain(&mut self, reason: Reason) {
        self.draining = Some(reason);
        if reason == Reason::Shutdown {
            self.tell_stopping();
            lock(&self.shared.registry).ending();
            // It may not have let go yet: seeing us end it would go on, without the files that end with the service.
            if self.answers() {
                self.elder.iter().for_each(Elder::shut_down);
            }
        }
        (self.sink)(Event::Drain { reason });
    }

    /// The process is about to end. `done` hears when everybody who asked something has the answer in hand.
    pub(super) fn drained(&mut self, done: std::sync::mpsc::Sender<()>) {
        self.end();
        // The event loop waits for `done`: it answers none of these any more.
        if let Some(undone) = self.undone.take() {
            self.rolled_back(undone);
        }
        let waiting: Vec<u32> = self.statuses.keys().copied().collect();
        waiting.into_iter().for_each(|id| self.reply_status(id, None));
        let unanswered = self.unanswered.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(LAST_WORDS, unanswered.none()).await;
            let _ = done.send(());
        });
    }

    /// Whether this generation has become the one that answers for the service.
    pub(super) fn answers(&self) -> bool {
        matches!(self.successor.state(), successor::State::Adopted | successor::State::Owning)
    }

    /// This generation answers for the service; the old one, if it lives, has yet to let go.
    pub(super) fn answer(&mut self, announce: bool) {
        self.answer_clients();
        self.check_socket();
        if let (Some(hello), true) = (self.elder_hello.take(), self.elder.is_some()) {
            let drainer = Drainer { pid: hello.pid, generation: hello.generation, since_ms: 0 };
            Drains::list(drainer, &self.shared);
        }
        self.write_pid_file();
        self.tell_owning(announce);
        (self.sink)(Event::Adopted);
    }

    /// Nobody else has a use for what this generation does not use, and nobody takes the service back.
    pub(super) fn own(&mut self) {
        self.restart.step(restart::Event::Owning);
        self.stale.take().map(Bound::unlink);
        self.forget_unclaimed();
        lock(&self.shared.registry).own();
        self.store();
        self.shut_down_if_asked();
        self.reload_if_asked();
    }

    pub(super) fn reply_status(&mut self, id: u32, json: Option<String>) {
        let Some(reply) = self.statuses.remove(&id) else { return };
        let said = json.and_then(|json| serde_json::from_str(&json).ok());
        let _ = reply.send(Answer::Status(said.unwrap_or_else(|| self.own_status())));
    }

    /// What can be said of a service whose event loop is blocked.
    pub(super) fn own_status(&self) -> serde_json::Value {
        let listeners: Vec<_> = lock(&self.shared.registry)
            .listeners()
            .into_iter()
            .map(|(name, address)| serde_json::json!({ "name": name, "address": address.to_string() }))
            .collect();
        serde_json::json!({
            "pid": std::process::id(),
            "generation": self.shared.generation,
            "phase": "blocked",
            "uptimeMs": 0,
            "socket": self.bound.as_ref().filter(|_| self.lost_socket.is_none()).map(Bound::path),
            "listeners": listeners,
            "connections": 0,
            "inFlight": 0,
            "migrated": 0,
            "draining": self.greeting().draining,
        })
    }

    pub(super) fn show_progress(&mut self) {
        let phase = self.phase();
        let pid = self.attempt.as_ref().and_then(Attempt::pid);
        let since = self.begun.into_std();
        lock(&self.shared.view).progress = phase.map(|phase| Progress { phase, pid, since });
    }

    fn send(&self, frame: Frame) {
        if let Some(attempt) = &self.attempt {
            attempt.outgoing.send(frame);
        }
    }

    pub(super) fn within(&mut self, limit: Duration) {
        self.deadline = Some(Instant::now() + limit);
    }

    pub(super) fn elapsed(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn warn(&self, message: String) {
        (self.sink)(Event::Warning { message });
    }

    pub(super) fn trace(&self, message: String) {
        if self.options.trace {
            (self.sink)(Event::Trace { message });
        }
    }
}
