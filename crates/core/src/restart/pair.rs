//! Both sides of a restart at once, by `Restart` and `Successor` as they are: every interleaving of what they say to each
//! other, of what happens to them and of what each waits for, with either one dying at any moment.
//!
//! At most one answers for the service, whatever happens, and who has it finds its files; and when everything has come to
//! rest somebody serves, unless both were killed or the service was told to end.

mod moves;
mod world;

use super::*;
use crate::successor;
use std::collections::HashSet;
use world::World;

impl World {
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
