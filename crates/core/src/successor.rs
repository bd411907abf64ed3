//! The restart as the new generation sees it: from its start until the service is its own.
//!
//! Pure, as `restart` is. A first generation walks the same path, only that nobody stands in its way.

/// Where the new generation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It initialises.
    Starting,
    /// It has said that it is ready and waits for COMMIT.
    Waiting,
    /// It may accept; the facade is about to.
    Committed,
    /// It accepts; the old generation has yet to make it the main process.
    Serving,
    /// It answers for the service; the old generation has yet to let go, and takes the service back if this one ends.
    Adopted,
    /// The service is its own: from here on nobody takes it back.
    Owning,
    /// The restart was called off: it must end.
    Aborted,
}

/// Who started this generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Old {
    /// Nobody of ours; or it has died since, which is the same.
    None,
    /// A process of this package, which speaks over the channel.
    Ours,
    /// A process of the crate: a readiness pipe, and nothing more.
    Crate,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The application called `ready()`.
    Ready,
    /// COMMIT came.
    Commit,
    /// ABORT came.
    Abort(String),
    /// The facade accepts connections now.
    Serving,
    /// ADOPTED came.
    Adopted,
    /// LETGO came.
    LetGo,
    /// The old generation is gone.
    OldGone,
}

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write the ready byte.
    SayReady,
    /// Let the facade accept.
    Accept,
    /// Answer the coordination socket and be the service manager's main process. `announce` where nobody has told
    /// the manager about us: as a first generation, after a Rust one, or as an orphan.
    Answer {
        /// Whether READY=1 is ours to send.
        announce: bool,
    },
    /// The files of the service are ours: to be removed where nobody has a use for them, and at the end.
    Own,
    /// End this process.
    End(String),
}

/// The new generation's part of a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Successor {
    state: State,
    old: Old,
}

impl Successor {
    /// A generation at its start.
    pub fn new(old: Old) -> Self {
        Successor { state: State::Starting, old }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether another generation still has the service.
    pub fn has_old(&self) -> bool {
        self.old != Old::None
    }

    /// Takes one event; what means nothing in the present state changes nothing.
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        match (self.state, event) {
            (State::Starting, Event::Ready) if self.old == Old::Ours => self.to(State::Waiting, vec![Action::SayReady]),
            (State::Starting, Event::Ready) => self.to(State::Committed, vec![Action::Accept]),

            (State::Waiting, Event::Commit) => self.to(State::Committed, vec![Action::Accept]),
            (State::Starting | State::Waiting | State::Committed, Event::Abort(why)) => {
                self.to(State::Aborted, vec![Action::End(why)])
            }

            (State::Committed, Event::Serving) if self.old == Old::Ours => self.to(State::Serving, vec![]),
            (State::Committed, Event::Serving) => self.alone(),
            // SERVING is said from the JavaScript thread: the answer to it may be here before the news of it.
            (State::Committed | State::Serving, Event::Adopted) => {
                self.to(State::Adopted, vec![Action::Answer { announce: false }])
            }
            (State::Adopted, Event::LetGo) => self.to(State::Owning, vec![Action::Own]),

            (state, Event::OldGone) => {
                self.old = Old::None;
                match state {
                    State::Waiting => self.to(State::Committed, vec![Action::Accept]),
                    State::Serving => self.alone(),
                    State::Adopted => self.to(State::Owning, vec![Action::Own]),
                    _ => vec![],
                }
            }

            (_, _) => vec![],
        }
    }

    /// Nobody hands the service over.
    fn alone(&mut self) -> Vec<Action> {
        self.to(State::Owning, vec![Action::Answer { announce: true }, Action::Own])
    }

    fn to(&mut self, state: State, actions: Vec<Action>) -> Vec<Action> {
        self.state = state;
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(old: Old, events: &[Event]) -> (State, Vec<Action>) {
        let mut successor = Successor::new(old);
        let actions = events.iter().flat_map(|event| successor.step(event.clone())).collect();
        (successor.state(), actions)
    }

    #[test]
    fn a_first_generation_owns_the_service_once_it_serves() {
        let (state, actions) = run(Old::None, &[Event::Ready, Event::Serving]);
        assert_eq!(state, State::Owning);
        assert_eq!(actions, [Action::Accept, Action::Answer { announce: true }, Action::Own]);
    }

    #[test]
    fn nothing_is_accepted_before_commit() {
        let (state, actions) = run(Old::Ours, &[Event::Ready]);
        assert_eq!((state, actions), (State::Waiting, vec![Action::SayReady]));
        let (state, actions) = run(Old::Ours, &[Event::Ready, Event::Commit, Event::Serving, Event::Adopted]);
        assert_eq!(state, State::Adopted);
        assert_eq!(actions, [Action::SayReady, Action::Accept, Action::Answer { announce: false }]);
    }

    #[test]
    fn the_service_is_its_own_only_when_the_old_one_has_let_go() {
        let adopted = [Event::Ready, Event::Commit, Event::Serving, Event::Adopted];
        for last in [Event::LetGo, Event::OldGone] {
            let (state, actions) = run(Old::Ours, &[&adopted[..], &[last]].concat());
            assert_eq!((state, actions.last()), (State::Owning, Some(&Action::Own)));
        }
    }

    #[test]
    fn adopted_may_overtake_the_news_of_serving() {
        let events = [Event::Ready, Event::Commit, Event::Adopted, Event::LetGo, Event::Serving];
        let (state, actions) = run(Old::Ours, &events);
        assert_eq!(state, State::Owning);
        assert_eq!(actions[2..], [Action::Answer { announce: false }, Action::Own]);
    }

    #[test]
    fn when_the_old_one_dies_the_new_one_goes_on_from_wherever_it_is() {
        for death in 0..=5 {
            let mut events = vec![Event::Ready, Event::Commit, Event::Serving, Event::Adopted, Event::LetGo];
            events.insert(death, Event::OldGone);
            let (state, actions) = run(Old::Ours, &events);
            assert_eq!(state, State::Owning, "death at {death}");
            assert_eq!(actions.iter().filter(|a| matches!(a, Action::Accept)).count(), 1);
            assert_eq!(actions.iter().filter(|a| matches!(a, Action::Answer { .. })).count(), 1);
            assert_eq!(actions.iter().filter(|a| matches!(a, Action::Own)).count(), 1);
        }
    }

    #[test]
    fn abort_ends_it_before_it_serves_and_means_nothing_after() {
        for (events, ends) in [
            (vec![], true),
            (vec![Event::Ready], true),
            (vec![Event::Ready, Event::Commit], true),
            (vec![Event::Ready, Event::Commit, Event::Serving], false),
        ] {
            let mut successor = Successor::new(Old::Ours);
            events.into_iter().for_each(|event| drop(successor.step(event)));
            let actions = successor.step(Event::Abort("why".into()));
            assert_eq!(actions == [Action::End("why".into())], ends);
        }
    }

    #[test]
    fn a_rust_old_one_hears_the_byte_only_when_we_accept() {
        let mut successor = Successor::new(Old::Crate);
        assert_eq!(successor.step(Event::Ready), [Action::Accept]);
        assert_eq!(successor.step(Event::Serving), [Action::Answer { announce: true }, Action::Own]);
    }
}
