//! What has come, put to `restart` or `successor`: requests, events, and time that is over.

use super::Event;
use super::attempt::Attempt;
use super::clients::Asker;
use super::ended::summary;
use super::handover::Writer;
use super::running::Running;
use crate::error::{Code, Failure};
use crate::message::{Frame, Handover, Hello};
use crate::restart::{self, Action, Reason, State};
use crate::spawn::Report;
use crate::successor;
use tokio::time::Instant;

impl Running {
    /// The new generation's end shows in several places (its launcher, the channel, its pidfd), in any order: this looks
    /// at all of them. Once it owns the service, its end is as likely its own replacement as its death: not ours to judge.
    pub(super) fn notice_loss(&mut self) {
        let ours = !matches!(self.restart.state(), State::Starting | State::Serving | State::Draining);
        if ours && self.attempt.as_ref().is_some_and(Attempt::is_lost) {
            self.died(&Report::Gone);
        }
    }

    /// Our listeners have stopped, or had their time to. This is the last moment to take the service back, so it is given
    /// to a new generation that is still there, and hears so: one that is about to end does not hear it any more, and has
    /// settled that it is not the service.
    pub(super) fn yielded(&mut self) {
        self.catch_up();
        self.notice_loss();
        if self.restart.state() == State::Yielding && self.unheard(&Frame::LetGo) {
            return self.died(&Report::Gone);
        }
        self.step(restart::Event::Yielded);
    }

    /// Says what the new generation must hear. True: it does not; what it had said before counts.
    pub(super) fn unheard(&mut self, frame: &Frame) -> bool {
        let unheard = self.attempt.as_ref().is_some_and(|attempt| !attempt.send_now(frame));
        if unheard {
            self.catch_up();
        }
        unheard
    }

    pub(super) fn time_is_up(&mut self) {
        self.deadline = None;
        let allowed = self.options.ready_timeout.unwrap_or_default().as_millis();
        let failure = match self.restart.state() {
            State::Preparing => Failure::new(
                Code::ReadyTimeout,
                format!(
                    "the restart could not begin within {allowed} ms: lifecycle.preNewProcess has not settled, or the event loop \
                     is blocked"
                ),
            )
            .during("preparing"),
            State::Initialising { handed_over, .. } => self.not_ready(handed_over, allowed),
            State::Committing => {
                let Some(attempt) = &mut self.attempt else { return };
                let said = attempt.stop_listening();
                said.into_iter().for_each(|frame| self.heard(frame));
                if self.restart.state() != State::Committing {
                    return;
                }
                Failure::new(
                    Code::ReadyTimeout,
                    "the new generation said it was ready but did not begin to serve in 5 s",
                )
                .during("committing")
            }
            State::Releasing => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.end_launcher();
                }
                self.catch_up();
                self.notice_loss();
                let text =
                    "the launcher did not let go of the new generation within 5 s and was ended (was it stopped?)";
                Failure::new(Code::ReadyTimeout, text)
            }
            State::Notifying => Failure::new(
                Code::ReadyTimeout,
                "the service manager did not take the news of its new main process within 5 s; the restart goes on",
            ),
            _ => return self.yielded(),
        };
        self.step(restart::Event::Deadline(failure));
    }

    fn not_ready(&self, handed_over: bool, allowed: u128) -> Failure {
        let Some(attempt) = &self.attempt else { return Failure::new(Code::ReadyTimeout, "not ready in time") };
        let phase = attempt.phase(handed_over);
        let stuck = attempt.handover.as_ref().is_some_and(Writer::stuck);
        let hint = match (handed_over, stuck, &attempt.hello, attempt.unclaimed.as_slice()) {
            // Ours to blame, not the new one.
            (false, false, _, _) => format!("{} of this generation has not settled", self.handover_hook()),
            (_, _, None, _) => "it has not called shellflip() yet".into(),
            (false, true, Some(_), _) => "it does not read what it is handed over".into(),
            (true, _, Some(_), []) => "it has not called ready()".into(),
            (true, _, Some(_), unclaimed) => {
                format!("it has not called ready(), nor listened on '{}'", unclaimed.join("', '"))
            }
        };
        let last_words = attempt.failing.as_deref().map(|text| format!("; its last error: {}", summary(text)));
        let text = format!(
            "generation {} was not ready within {allowed} ms: {hint}{}",
            attempt.generation,
            last_words.unwrap_or_default()
        );
        let failure = Failure::new(Code::ReadyTimeout, text).during(phase);
        match attempt.pid() {
            Some(pid) => failure.of(pid),
            None => failure,
        }
    }

    /// The new generation has said who it is.
    pub(super) fn greeted(&mut self, hello: Hello) {
        self.trace(format!("the new generation says hello: version {}, pid {}", hello.version, hello.pid));
        let (theirs, ours) = (hello.versions(), self.options.versions);
        let Some(attempt) = &mut self.attempt else { return };
        attempt.greeted(hello);
        if theirs.meet(ours) {
            return;
        }
        let text = format!(
            "generation {} understands {theirs} of the channel, this one {ours}: the two releases of this package are \
             too far apart; stop and start the service to change to that one",
            attempt.generation
        );
        let failure = Failure::new(Code::Inheritance, text).during(attempt.phase(false));
        self.step(restart::Event::HookFailed(failure));
    }

    fn handover_hook(&self) -> &'static str {
        match self.options.handover {
            Handover::Raw => "lifecycle.sendToNewProcess",
            Handover::Value | Handover::None => "handover()",
        }
    }

    /// The new generation ended.
    pub(super) fn died(&mut self, how: &Report) {
        let when = match self.restart.state() {
            State::Committing => "when it was let in",
            State::Releasing | State::Notifying | State::Yielding => "right after it had begun to serve",
            _ => "while starting",
        };
        let phase = self.phase().unwrap_or_default();
        let Some(failure) = self.attempt.as_ref().map(|attempt| attempt.died(how, when, phase)) else { return };
        self.step(restart::Event::NewDied(failure));
    }

    /// What the restart is doing, in words for a person.
    pub(super) fn phase(&self) -> Option<&'static str> {
        match self.restart.state() {
            State::Starting | State::Serving | State::Draining => None,
            State::Preparing => Some("preparing"),
            State::Initialising { handed_over, .. } => self.attempt.as_ref().map(|attempt| attempt.phase(handed_over)),
            State::Committing => Some("committing"),
            State::Releasing | State::Notifying | State::Yielding => Some("taking over"),
            State::RollingBack => Some("rolling back"),
        }
    }

    pub(super) fn request(&mut self, asker: Asker) {
        // Whoever was told of the last restart, after the old one had let go, may ask for the next one.
        self.catch_up_with_elder();
        let code = match self.successor.state() {
            successor::State::Owning => None,
            successor::State::Serving | successor::State::Adopted => Some(Code::RestartInProgress),
            _ => Some(Code::NotReady),
        };
        // A first generation that drains before it was ready says so.
        let code = code.filter(|_| self.restart.state() == State::Starting);
        if let Some(code) = code {
            if code == Code::RestartInProgress && self.waits_for_adoption(&asker) {
                return;
            }
            return self.refuse(code, asker);
        }
        match self.restart.step(restart::Event::Request).as_slice() {
            [Action::Refuse(code)] => self.refuse(*code, asker),
            actions => {
                self.asker = asker;
                self.begun = Instant::now();
                self.perform(actions.to_vec());
            }
        }
    }

    pub(super) fn refuse(&mut self, code: Code, asker: Asker) {
        let text = match code {
            Code::NotReady => "the service has not become ready yet; try again once it serves".into(),
            Code::Draining if self.draining == Some(Reason::Shutdown) => {
                "the service is shutting down; start it anew once it has ended".into()
            }
            Code::Draining => "this generation is draining; ask the one that serves".into(),
            _ => match self.attempt.as_ref().and_then(Attempt::pid) {
                Some(pid) => format!("a restart is in progress (pid {pid}); one at a time"),
                None => "a restart is in progress; one at a time".into(),
            },
        };
        let failure = Failure::new(code, text);
        if let Asker::Nobody = asker {
            self.warn(format!("a restart was asked for by a signal and refused: {failure}"));
            self.tell_refused();
        }
        asker.fail(&failure, 0, &self.sink);
    }

    pub(super) fn step(&mut self, event: restart::Event) {
        let before = self.restart.state();
        self.trace(format!("{before:?} <- {event:?}"));
        let actions = self.restart.step(event);
        self.perform(actions);
    }

    pub(super) fn succeed(&mut self, event: successor::Event) {
        self.trace(format!("{:?} <- {event:?}", self.successor.state()));
        for action in self.successor.step(event) {
            match action {
                successor::Action::SayReady => {
                    // The old generation's death shows on the channel, not here.
                    let _ = self.readiness.take().map(|pipe| rustix::io::write(&pipe, b"1"));
                }
                successor::Action::Accept => (self.sink)(Event::Commit),
                successor::Action::Answer { announce } => self.answer(announce),
                successor::Action::Own => self.own(),
                successor::Action::End(message) => (self.sink)(Event::Aborted { message }),
            }
        }
    }
}
