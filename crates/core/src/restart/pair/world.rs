//! What the two hold, and what comes of each word and each event.

use crate::error::{Code, Failure};
use crate::restart::{Action, Event, Peer, Restart, State};
use crate::successor::{self, Old, Successor};

/// Something that will happen to the old generation by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Pending {
    Launched,
    HandedOver,
    Released,
    Notified,
    Yielded,
    RolledBack,
    NewDied,
}

/// From the new one to the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Up {
    Ready,
    Serving,
}

/// From the old one to the new one. `Gone` is the channel's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Down {
    Commit,
    Adopted,
    LetGo,
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct New {
    pub(super) machine: Successor,
    pub(super) inbox: Vec<Down>,
    pub(super) outbox: Vec<Up>,
    pub(super) alive: bool,
    pub(super) accepts: bool,
    /// The application has yet to call ready(); the facade is about to accept; the engine has yet to hear that it did.
    pub(super) to_be_ready: bool,
    pub(super) to_accept: bool,
    pub(super) to_hear_serving: bool,
    /// The old one has stopped listening: SERVING can no longer be said.
    pub(super) unheard: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) old: Option<Restart>,
    pub(super) accepts: bool,
    pub(super) answers: bool,
    pub(super) new: Option<New>,
    /// Those of its unix sockets, above all.
    pub(super) files: bool,
    pub(super) pending: Vec<Pending>,
    pub(super) requests: u8,
    pub(super) old_may_die: bool,
    pub(super) new_may_die: u8,
    pub(super) may_be_told_to_end: bool,
    pub(super) told_to_end: bool,
    /// The restart was complete when the new one died: then it is nobody's to bring back.
    pub(super) lost_after_completion: bool,
}

pub(super) fn failure() -> Failure {
    Failure::new(Code::GenerationExited, "")
}

impl World {
    pub(super) fn new() -> World {
        let mut old = Restart::default();
        old.step(Event::Owning);
        World {
            old: Some(old),
            accepts: true,
            answers: true,
            new: None,
            files: true,
            pending: vec![],
            requests: 2,
            old_may_die: true,
            new_may_die: 2,
            may_be_told_to_end: true,
            told_to_end: false,
            lost_after_completion: false,
        }
    }

    pub(super) fn state(&self) -> Option<State> {
        self.old.as_ref().map(Restart::state)
    }

    pub(super) fn step_old(&mut self, event: Event) {
        let Some(old) = &mut self.old else { return };
        let actions = old.step(event);
        for action in actions {
            match action {
                Action::Prepare => self.pending.push(Pending::Launched),
                Action::HandOver => {
                    self.new = Some(New {
                        machine: Successor::new(Old::Ours),
                        inbox: vec![],
                        outbox: vec![],
                        alive: true,
                        accepts: false,
                        to_be_ready: true,
                        to_accept: false,
                        to_hear_serving: false,
                        unheard: false,
                    });
                    self.pending.push(Pending::HandedOver);
                }
                Action::Commit => self.tell(Down::Commit),
                Action::Release => self.pending.push(Pending::Released),
                Action::Notify => self.pending.push(Pending::Notified),
                // A word that nobody hears is a death.
                Action::Adopt if !self.new.as_ref().is_some_and(|new| new.alive) => {
                    self.step_old(Event::NewDied(failure()));
                }
                Action::Adopt => {
                    self.tell(Down::Adopted);
                    self.answers = false;
                    self.pending.push(Pending::Yielded);
                }
                // Killed with the word, and reaped before anybody hears of it.
                Action::RollBack(_) | Action::TakeBack(_) => {
                    self.new = None;
                    (self.accepts, self.answers) = (true, true);
                    self.pending = vec![Pending::RolledBack];
                }
                Action::Drain(_) => self.accepts = false,
                Action::Complete | Action::Refuse(_) | Action::PassShutdown | Action::Log(_) => {}
            }
        }
        if self.state() == Some(State::Draining) {
            // It ends by itself some time later.
            self.answers = false;
            self.tell(Down::Gone);
        }
    }

    pub(super) fn tell(&mut self, word: Down) {
        let Some(new) = &mut self.new else { return };
        if new.alive && new.inbox.last() != Some(&Down::Gone) {
            new.inbox.push(word);
        }
    }

    /// What has arrived counts before whatever else is noticed.
    pub(super) fn catch_up(&mut self) {
        while let Some(word) = self.new.as_mut().filter(|new| !new.outbox.is_empty()).map(|new| new.outbox.remove(0)) {
            match word {
                Up::Ready => self.step_old(Event::Ready(Peer::Ours)),
                Up::Serving => self.step_old(Event::Serving),
            }
        }
    }

    /// Looked at before the service is given away for good.
    pub(super) fn notice_loss(&mut self) {
        self.catch_up();
        if self.new.as_ref().is_some_and(|new| !new.alive) {
            self.step_old(Event::NewDied(failure()));
        }
    }

    /// The last moment to take the service back. A word that nobody hears is a death, here as well.
    pub(super) fn let_go(&mut self) {
        self.notice_loss();
        if self.state() == Some(State::Yielding) {
            self.tell(Down::LetGo);
        }
    }

    /// It takes in what has arrived, and settles by that whether the service, with its files, ends with it.
    pub(super) fn exit_new(&mut self) {
        while let Some(word) = self.new.as_mut().filter(|new| !new.inbox.is_empty()).map(|new| new.inbox.remove(0)) {
            self.hear(word);
        }
        self.files &= self.new.as_ref().is_none_or(|new| new.machine.state() != successor::State::Owning);
        self.end_new();
    }

    pub(super) fn end_new(&mut self) {
        self.new_may_die -= 1;
        self.new.iter_mut().for_each(|new| (new.alive, new.accepts) = (false, false));
        match self.state() {
            Some(State::Draining) => self.lost_after_completion = true,
            Some(_) => self.pending.push(Pending::NewDied),
            None => {}
        }
    }

    pub(super) fn hear(&mut self, word: Down) {
        self.step_new(match word {
            Down::Commit => successor::Event::Commit,
            Down::Adopted => successor::Event::Adopted,
            Down::LetGo => successor::Event::LetGo,
            Down::Gone => successor::Event::OldGone,
        });
    }

    pub(super) fn step_new(&mut self, event: successor::Event) {
        let Some(new) = &mut self.new else { return };
        for action in new.machine.step(event) {
            match action {
                successor::Action::SayReady => new.outbox.push(Up::Ready),
                successor::Action::Accept => new.to_accept = true,
                successor::Action::Answer { .. } | successor::Action::Own => {}
                successor::Action::End(_) => (new.alive, new.accepts) = (false, false),
            }
        }
    }
}
