//! Both sides of a restart at once, by `Restart` and `Successor` as they are: every interleaving of what they say to each
//! other, of what happens to them and of what each waits for, with either one dying at any moment.
//!
//! At most one answers for the service, whatever happens, and who has it finds its files; and when everything has come to
//! rest somebody serves, unless both were killed or the service was told to end.

use super::*;
use crate::successor::{self, Old, Successor};
use std::collections::HashSet;

/// Something that will happen to the old generation by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Pending {
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
enum Up {
    Ready,
    Serving,
}

/// From the old one to the new one. `Gone` is the channel's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Down {
    Commit,
    Adopted,
    LetGo,
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct New {
    machine: Successor,
    inbox: Vec<Down>,
    outbox: Vec<Up>,
    alive: bool,
    accepts: bool,
    /// The application has yet to call ready(); the facade is about to accept; the engine has yet to hear that it did.
    to_be_ready: bool,
    to_accept: bool,
    to_hear_serving: bool,
    /// The old one has stopped listening: SERVING can no longer be said.
    unheard: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    old: Option<Restart>,
    accepts: bool,
    answers: bool,
    new: Option<New>,
    /// Those of its unix sockets, above all.
    files: bool,
    pending: Vec<Pending>,
    requests: u8,
    old_may_die: bool,
    new_may_die: u8,
    may_be_told_to_end: bool,
    told_to_end: bool,
    /// The restart was complete when the new one died: then it is nobody's to bring back.
    lost_after_completion: bool,
}

fn failure() -> Failure {
    Failure::new(Code::GenerationExited, "")
}

impl World {
    fn new() -> World {
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

    fn state(&self) -> Option<State> {
        self.old.as_ref().map(Restart::state)
    }

    fn step_old(&mut self, event: Event) {
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

    fn tell(&mut self, word: Down) {
        let Some(new) = &mut self.new else { return };
        if new.alive && new.inbox.last() != Some(&Down::Gone) {
            new.inbox.push(word);
        }
    }

    /// What has arrived counts before whatever else is noticed.
    fn catch_up(&mut self) {
        while let Some(word) = self.new.as_mut().filter(|new| !new.outbox.is_empty()).map(|new| new.outbox.remove(0)) {
            match word {
                Up::Ready => self.step_old(Event::Ready(Peer::Ours)),
                Up::Serving => self.step_old(Event::Serving),
            }
        }
    }

    /// Looked at before the service is given away for good.
    fn notice_loss(&mut self) {
        self.catch_up();
        if self.new.as_ref().is_some_and(|new| !new.alive) {
            self.step_old(Event::NewDied(failure()));
        }
    }

    /// The last moment to take the service back. A word that nobody hears is a death, here as well.
    fn let_go(&mut self) {
        self.notice_loss();
        if self.state() == Some(State::Yielding) {
            self.tell(Down::LetGo);
        }
    }

    /// It takes in what has arrived, and settles by that whether the service, with its files, ends with it.
    fn exit_new(&mut self) {
        while let Some(word) = self.new.as_mut().filter(|new| !new.inbox.is_empty()).map(|new| new.inbox.remove(0)) {
            self.hear(word);
        }
        self.files &= self.new.as_ref().is_none_or(|new| new.machine.state() != successor::State::Owning);
        self.end_new();
    }

    fn end_new(&mut self) {
        self.new_may_die -= 1;
        self.new.iter_mut().for_each(|new| (new.alive, new.accepts) = (false, false));
        match self.state() {
            Some(State::Draining) => self.lost_after_completion = true,
            Some(_) => self.pending.push(Pending::NewDied),
            None => {}
        }
    }

    fn hear(&mut self, word: Down) {
        self.step_new(match word {
            Down::Commit => successor::Event::Commit,
            Down::Adopted => successor::Event::Adopted,
            Down::LetGo => successor::Event::LetGo,
            Down::Gone => successor::Event::OldGone,
        });
    }

    fn step_new(&mut self, event: successor::Event) {
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

    /// What happens by itself, sooner or later.
    fn inevitable(&self) -> Vec<World> {
        let mut worlds = vec![];
        let mut to = |change: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            change(&mut world);
            worlds.push(world);
        };
        for at in 0..self.pending.len() {
            to(&|world| {
                let pending = world.pending.remove(at);
                if pending == Pending::NewDied {
                    world.catch_up();
                }
                if pending == Pending::Yielded {
                    world.accepts = false;
                    world.let_go();
                }
                world.step_old(match pending {
                    Pending::Launched => Event::Launched,
                    Pending::HandedOver => Event::HandedOver,
                    Pending::Released => Event::Released,
                    Pending::Notified => Event::Notified,
                    Pending::Yielded => Event::Yielded,
                    Pending::RolledBack => Event::RolledBack,
                    Pending::NewDied => Event::NewDied(failure()),
                });
            });
        }
        let Some(new) = &self.new else { return worlds };
        if self.old.is_some() && !new.outbox.is_empty() {
            to(&World::catch_up);
        }
        if !new.alive {
            return worlds;
        }
        if new.to_be_ready {
            to(&|world| {
                world.new.iter_mut().for_each(|new| new.to_be_ready = false);
                world.step_new(successor::Event::Ready);
            });
        }
        if new.to_accept {
            to(&|world| {
                let Some(new) = &mut world.new else { return };
                new.to_accept = false;
                if new.unheard {
                    new.alive = false;
                    return;
                }
                new.accepts = true;
                new.outbox.push(Up::Serving);
                new.to_hear_serving = true;
            });
        }
        if new.to_hear_serving {
            to(&|world| {
                world.new.iter_mut().for_each(|new| new.to_hear_serving = false);
                world.step_new(successor::Event::Serving);
            });
        }
        if let Some(word) = new.inbox.first().copied() {
            to(&|world| {
                world.new.iter_mut().for_each(|new| _ = new.inbox.remove(0));
                world.hear(word);
            });
        }
        worlds
    }

    /// What may happen, or not.
    fn possible(&self) -> Vec<World> {
        let mut worlds = vec![];
        let mut to = |change: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            change(&mut world);
            worlds.push(world);
        };
        let state = self.state();
        if self.requests > 0 && state.is_some() {
            to(&|world| {
                world.requests -= 1;
                world.step_old(Event::Request);
            });
        }
        if state.is_some_and(|state| {
            !matches!(state, State::Starting | State::Serving | State::RollingBack | State::Draining)
        }) {
            to(&|world| {
                if world.state() == Some(State::Committing) {
                    world.new.iter_mut().for_each(|new| new.unheard = true);
                    world.catch_up();
                }
                match world.state() {
                    Some(State::Releasing) => world.notice_loss(),
                    Some(State::Yielding) => world.let_go(),
                    _ => {}
                }
                world.step_old(Event::Deadline(failure()));
            });
        }
        if self.may_be_told_to_end && state.is_some() {
            to(&|world| {
                (world.may_be_told_to_end, world.told_to_end) = (false, true);
                world.step_old(Event::Shutdown);
            });
        }
        if self.old_may_die && state.is_some_and(|state| state != State::Draining) {
            to(&|world| {
                (world.old, world.accepts, world.answers) = (None, false, false);
                world.old_may_die = false;
                world.pending.clear();
                world.tell(Down::Gone);
            });
        }
        if self.new_may_die > 0 && self.new.as_ref().is_some_and(|new| new.alive) {
            to(&World::end_new);
            to(&World::exit_new);
        }
        worlds
    }

    /// At every moment.
    fn one_answers(&self) -> bool {
        let answers = |state| matches!(state, successor::State::Adopted | successor::State::Owning);
        !(self.answers && self.new.as_ref().is_some_and(|new| new.alive && answers(new.machine.state())))
    }

    /// At every moment.
    fn files_are_there(&self) -> bool {
        let wanted = self.new.as_ref().is_some_and(|new| new.alive)
            || self.state().is_some_and(|state| state != State::Draining);
        self.files || !wanted
    }

    /// When nothing more happens by itself.
    fn somebody_serves(&self) -> bool {
        let new = self.new.as_ref().filter(|new| new.alive);
        match (self.state(), new) {
            _ if self.told_to_end => true,
            (Some(State::Serving), None) => self.accepts && self.answers,
            (None | Some(State::Draining), Some(new)) => new.accepts && new.machine.state() == successor::State::Owning,
            // Both were killed; or the new one was, when the service was its own.
            (None, None) => true,
            (Some(State::Draining), None) => self.lost_after_completion,
            // It waits for what may not come: for a deadline.
            (Some(_), _) => !self.possible().is_empty() && self.accepts,
        }
    }
}

#[test]
fn in_every_interleaving_one_answers_and_somebody_serves_with_all_its_files() {
    let mut seen = HashSet::new();
    let mut open = vec![World::new()];
    while let Some(world) = open.pop() {
        assert!(world.one_answers(), "two answer: {world:#?}");
        assert!(world.files_are_there(), "the files are gone: {world:#?}");
        let inevitable = world.inevitable();
        assert!(!inevitable.is_empty() || world.somebody_serves(), "nobody serves: {world:#?}");
        for mut next in inevitable.into_iter().chain(world.possible()) {
            next.pending.sort_unstable();
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    assert!(seen.len() > 1000, "{} worlds are too few to mean anything", seen.len());
}
