//! What can happen next, one world for each.

use super::world::{Down, Pending, Up, World, failure};
use crate::restart::{Event, State};
use crate::successor;

impl World {
    /// What happens by itself, sooner or later.
    pub(super) fn inevitable(&self) -> Vec<World> {
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
    pub(super) fn possible(&self) -> Vec<World> {
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
}
