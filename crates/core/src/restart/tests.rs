//! The table of DESIGN.md, and what must hold whatever the order of events.

use super::*;
use proptest::prelude::*;

fn failure(text: &str) -> Failure {
    Failure::new(Code::GenerationExited, text)
}

fn every_event() -> Vec<Event> {
    vec![
        Event::Owning,
        Event::Request,
        Event::Shutdown,
        Event::Launched,
        Event::HookFailed(failure("hook")),
        Event::HandedOver,
        Event::Ready(Peer::Ours),
        Event::Ready(Peer::Crate),
        Event::Serving,
        Event::Released,
        Event::LauncherGone,
        Event::NewDied(failure("died")),
        Event::Notified,
        Event::Yielded,
        Event::RolledBack,
        Event::Deadline(failure("deadline")),
    ]
}

/// A machine brought to each state by the shortest way.
fn at(state: State) -> Restart {
    let handed = State::Initialising { handed_over: true, ready: None };
    let path: Vec<Event> = match state {
        State::Starting => vec![],
        State::Serving => vec![Event::Owning],
        State::Preparing => [vec![Event::Owning], vec![Event::Request]].concat(),
        State::Initialising { handed_over: false, ready: None } => {
            vec![Event::Owning, Event::Request, Event::Launched]
        }
        State::Initialising { handed_over: true, ready: None } => {
            vec![Event::Owning, Event::Request, Event::Launched, Event::HandedOver]
        }
        State::Initialising { handed_over: false, ready: Some(peer) } => {
            vec![Event::Owning, Event::Request, Event::Launched, Event::Ready(peer)]
        }
        State::Initialising { .. } => unreachable!("both done is Committing"),
        State::Committing => {
            let mut machine = at(handed);
            machine.step(Event::Ready(Peer::Ours));
            return machine;
        }
        State::Releasing => {
            let mut machine = at(State::Committing);
            machine.step(Event::Serving);
            return machine;
        }
        State::Notifying => {
            let mut machine = at(State::Releasing);
            machine.step(Event::Released);
            return machine;
        }
        State::Yielding => {
            let mut machine = at(State::Notifying);
            machine.step(Event::Notified);
            return machine;
        }
        State::RollingBack => {
            let mut machine = at(State::Preparing);
            machine.step(Event::HookFailed(failure("hook")));
            return machine;
        }
        State::Draining => {
            let mut machine = at(State::Yielding);
            machine.step(Event::Yielded);
            return machine;
        }
    };
    let mut machine = Restart::default();
    for event in path {
        machine.step(event);
    }
    assert_eq!(machine.state(), state);
    machine
}

const I0: State = State::Initialising { handed_over: false, ready: None };
const I_HANDED: State = State::Initialising { handed_over: true, ready: None };
const I_READY: State = State::Initialising { handed_over: false, ready: Some(Peer::Ours) };
const I_CRATE: State = State::Initialising { handed_over: false, ready: Some(Peer::Crate) };

const ALL: [State; 13] = [
    State::Starting,
    State::Serving,
    State::Preparing,
    I0,
    I_HANDED,
    I_READY,
    I_CRATE,
    State::Committing,
    State::Releasing,
    State::Notifying,
    State::Yielding,
    State::RollingBack,
    State::Draining,
];

#[test]
fn the_way_through() {
    let mut machine = Restart::default();
    let steps = [
        (Event::Owning, vec![]),
        (Event::Request, vec![Action::Prepare]),
        (Event::Launched, vec![Action::HandOver]),
        (Event::Ready(Peer::Ours), vec![]),
        (Event::HandedOver, vec![Action::Commit]),
        (Event::Serving, vec![Action::Release]),
        (Event::Released, vec![Action::Notify]),
        (Event::Notified, vec![Action::Adopt]),
        (Event::Yielded, vec![Action::Complete, Action::Drain(Reason::Restart)]),
    ];
    for (event, actions) in steps {
        assert_eq!(machine.step(event.clone()), actions, "{event:?}");
    }
    assert_eq!(machine.state(), State::Draining);
}

#[test]
fn one_restart_at_a_time() {
    for state in ALL {
        let before = at(state);
        let mut machine = before.clone();
        let expected = match state {
            State::Starting => Action::Refuse(Code::NotReady),
            State::Serving => Action::Prepare,
            State::Draining => Action::Refuse(Code::Draining),
            _ => Action::Refuse(Code::RestartInProgress),
        };
        assert_eq!(machine.step(Event::Request), [expected], "{state:?}");
        if state != State::Serving {
            assert_eq!(machine, before, "a refusal changes nothing");
        }
    }
}

#[test]
fn before_serving_every_failure_is_a_rollback() {
    for state in [I0, I_HANDED, I_READY, I_CRATE, State::Committing] {
        for event in [Event::NewDied(failure("x")), Event::Deadline(failure("x"))] {
            let mut machine = at(state);
            assert_eq!(machine.step(event), [Action::RollBack(failure("x"))], "{state:?}");
            assert_eq!(machine.state(), State::RollingBack);
            assert_eq!(machine.step(Event::RolledBack), []);
            assert_eq!(machine.state(), State::Serving);
        }
    }
    for state in [State::Preparing, I0, I_HANDED, I_READY, I_CRATE] {
        let mut machine = at(state);
        assert_eq!(machine.step(Event::HookFailed(failure("x"))), [Action::RollBack(failure("x"))]);
    }
}

#[test]
fn the_death_of_a_main_one_is_taken_back() {
    for state in [State::Notifying, State::Yielding] {
        let mut machine = at(state);
        assert_eq!(machine.step(Event::NewDied(failure("x"))), [Action::TakeBack(failure("x"))]);
        assert_eq!(machine.state(), State::RollingBack);
    }
}

#[test]
fn a_launcher_that_dies_early_takes_the_restart_with_it_and_late_is_as_good_as_released() {
    let mut machine = at(I0);
    assert!(matches!(machine.step(Event::LauncherGone)[..], [Action::RollBack(_)]));
    let mut machine = at(State::Committing);
    assert_eq!(machine.step(Event::LauncherGone), []);
    assert_eq!(machine.step(Event::Serving), [Action::Notify]);
    let mut machine = at(State::Releasing);
    assert_eq!(machine.step(Event::LauncherGone), [Action::Notify]);
}

#[test]
fn a_shutdown_ends_what_can_be_ended_and_is_passed_on_otherwise() {
    for state in [State::Starting, State::Serving, State::RollingBack] {
        assert_eq!(at(state).step(Event::Shutdown), [Action::Drain(Reason::Shutdown)]);
    }
    for state in [State::Preparing, I0, I_HANDED, I_READY, I_CRATE] {
        let actions = at(state).step(Event::Shutdown);
        assert!(matches!(actions[..], [Action::RollBack(_), Action::Drain(Reason::Shutdown)]), "{state:?}");
    }
    let mut machine = at(State::Committing);
    assert_eq!(machine.step(Event::Shutdown), []);
    for event in [Event::Serving, Event::Released, Event::Notified] {
        machine.step(event);
    }
    let last = machine.step(Event::Yielded);
    assert_eq!(last, [Action::Complete, Action::PassShutdown, Action::Drain(Reason::Restart)]);
}

#[test]
fn a_shutdown_that_waited_for_a_restart_which_failed_is_carried_out() {
    let mut machine = at(State::Committing);
    machine.step(Event::Shutdown);
    let actions = machine.step(Event::NewDied(failure("x")));
    assert_eq!(actions, [Action::RollBack(failure("x")), Action::Drain(Reason::Shutdown)]);
    assert_eq!(machine.state(), State::Draining);
}

#[test]
fn a_rust_new_one_is_never_sent_commit() {
    let mut machine = at(I_CRATE);
    assert_eq!(machine.step(Event::HandedOver), [Action::Release]);
    let mut machine = at(I_HANDED);
    assert_eq!(machine.step(Event::Ready(Peer::Crate)), [Action::Release]);
}

/// Every state with every event: whatever comes, a restart that was begun ends, and nothing ends that was not begun.
#[test]
fn no_event_leads_out_of_draining_or_back_to_starting() {
    for state in ALL {
        for event in every_event() {
            let mut machine = at(state);
            machine.step(event.clone());
            if state == State::Draining {
                assert_eq!(machine.state(), State::Draining, "{event:?}");
            }
            if state != State::Starting {
                assert_ne!(machine.state(), State::Starting, "{state:?} {event:?}");
            }
        }
    }
}

proptest! {
    /// Whatever the order of events: each restart taken is answered exactly once, by success or by failure; the
    /// service is handed over at most once, and only after the new one has served; the drain begins exactly once.
    #[test]
    fn any_order_of_events_keeps_the_promises(picks in proptest::collection::vec(0..16usize, 0..60)) {
        let events = every_event();
        let mut machine = Restart::default();
        let (mut taken, mut answered, mut adopted, mut drains) = (0, 0, 0, 0);
        let mut served = false;
        for pick in picks {
            let event = events[pick].clone();
            let before = machine.state();
            if matches!(before, State::Committing) && event == Event::Serving { served = true }
            if matches!(event, Event::Ready(Peer::Crate)) && matches!(before, State::Initialising { .. }) { served = true }
            for action in machine.step(event) {
                match action {
                    Action::Prepare => { taken += 1; served = false }
                    Action::Complete => { answered += 1; prop_assert!(served) }
                    Action::RollBack(_) | Action::TakeBack(_) => answered += 1,
                    Action::Adopt => { adopted += 1; prop_assert!(served) }
                    Action::Drain(_) => drains += 1,
                    _ => {}
                }
            }
            prop_assert!(answered == taken || answered + 1 == taken);
            let idle = [State::Starting, State::Serving, State::RollingBack, State::Draining];
            let running = !idle.contains(&machine.state());
            prop_assert_eq!(running, answered + 1 == taken);
            prop_assert_eq!(drains, u32::from(machine.state() == State::Draining));
            prop_assert!(adopted <= taken);
        }
    }
}
