//! The restart as the old generation sees it: the only place that decides what happens next.
//!
//! [`Restart::step`] is a pure function of state and event. It knows no clock, no process and no socket: the engine
//! tells it what happened and carries out the actions it answers with, in order. Before the new generation has said
//! SERVING, whatever goes wrong ends in [`Action::RollBack`] and the service is as it was; from then on there is no way
//! back but the new generation's death.

use crate::error::{Code, Failure};

/// Where this generation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Not ready yet: nothing can be replaced.
    Starting,
    /// Serving, and nothing else going on.
    Serving,
    /// P: the hook before a restart runs; no process exists yet.
    Preparing,
    /// I: the new generation initialises. It may go on to be committed when both have happened.
    Initialising {
        /// The handover has been sent to its last byte.
        handed_over: bool,
        /// The new generation has said that it is ready, and which protocol it speaks.
        ready: Option<Peer>,
    },
    /// C: COMMIT was sent, SERVING is awaited.
    Committing,
    /// A: the new one serves; the launcher is letting go of it.
    Releasing,
    /// A: the service manager is being told who is main.
    Notifying,
    /// A: the new one owns the service; our own listeners are being stopped.
    Yielding,
    /// R: the restart failed; what was started is being ended, and newProcessFailed runs.
    RollingBack,
    /// D: finishing what is in flight.
    Draining,
}

/// What the new generation turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// It said hello: it waits for COMMIT and will say SERVING.
    Ours,
    /// A process of the crate: it has no channel, and its ready byte says that it serves already.
    Crate,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This generation owns the service now: it became ready as the first, or was adopted.
    Owning,
    /// Somebody asks for a restart.
    Request,
    /// SIGTERM, `shutdown()` or `shellflip stop`.
    Shutdown,
    /// The hook is done and the launcher runs.
    Launched,
    /// A hook or the launch failed.
    HookFailed(Failure),
    /// The handover has been sent.
    HandedOver,
    /// The ready byte came.
    Ready(Peer),
    /// SERVING came.
    Serving,
    /// The launcher has let go of the new generation, or is no longer there to hold it.
    Released,
    /// The launcher died without a word.
    LauncherGone,
    /// The new generation ended, before it owned the service: nobody watches it any longer than that.
    NewDied(Failure),
    /// The service manager has been told.
    Notified,
    /// Our own listeners have stopped, or had their time to.
    Yielded,
    /// Nothing is left of the restart that failed, and newProcessFailed is done.
    RolledBack,
    /// The time for the present state is over.
    Deadline(Failure),
}

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Refuse the request just made.
    Refuse(Code),
    /// Take the request, start the clock of `readyTimeoutMs`, run the hook and launch.
    Prepare,
    /// Say hello, hand over the listeners, begin the handover.
    HandOver,
    /// Send COMMIT; five seconds.
    Commit,
    /// Tell the launcher to let go; five seconds.
    Release,
    /// Send MAINPID and BARRIER to the service manager, if there is one; five seconds.
    Notify,
    /// Stop answering the coordination socket, send ADOPTED, have the listeners stopped; 250 ms.
    Adopt,
    /// Tell the asker that the restart succeeded.
    Complete,
    /// Undo: ABORT, kill and reap, close, run newProcessFailed, tell the asker.
    RollBack(Failure),
    /// The new generation died after it had been made main: be main again, and roll back.
    TakeBack(Failure),
    /// Send SHUTDOWN to the new generation.
    PassShutdown,
    /// Begin to drain.
    Drain(Reason),
    /// Only worth a line in the log.
    Log(Failure),
}

/// Why a generation drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Another generation has taken over.
    Restart,
    /// The service ends.
    Shutdown,
}

/// The old generation's part of a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Restart {
    state: State,
    /// A shutdown came when there was no way back: it is passed on once the restart is through.
    shutdown_pending: bool,
    /// The launcher died on its own after COMMIT: there is nothing left to release.
    launcher_gone: bool,
}

impl Default for Restart {
    fn default() -> Self {
        Restart { state: State::Starting, shutdown_pending: false, launcher_gone: false }
    }
}

impl Restart {
    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes one event. An event that means nothing in the present state (a late echo of what is over) changes nothing.
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        use State::*;
        match (self.state, event) {
            (Starting, Event::Owning) => self.to(Serving, vec![]),

            (Starting, Event::Request) => vec![Action::Refuse(Code::NotReady)],
            (Serving, Event::Request) => {
                self.launcher_gone = false;
                self.to(Preparing, vec![Action::Prepare])
            }
            (Draining, Event::Request) => vec![Action::Refuse(Code::Draining)],
            (_, Event::Request) => vec![Action::Refuse(Code::RestartInProgress)],

            (Starting | Serving | RollingBack, Event::Shutdown) => {
                self.to(Draining, vec![Action::Drain(Reason::Shutdown)])
            }
            (Preparing | Initialising { .. }, Event::Shutdown) => {
                let failure = Failure::new(Code::Draining, "the service was told to shut down during the restart");
                self.to(Draining, vec![Action::RollBack(failure), Action::Drain(Reason::Shutdown)])
            }
            (Committing | Releasing | Notifying | Yielding, Event::Shutdown) => {
                self.shutdown_pending = true;
                vec![]
            }
            (Draining, Event::Shutdown) => vec![],

            (Preparing, Event::Launched) => {
                self.to(Initialising { handed_over: false, ready: None }, vec![Action::HandOver])
            }
            (Preparing | Initialising { .. }, Event::HookFailed(failure)) => self.roll_back(failure),
            (Draining, Event::HookFailed(failure)) => vec![Action::Log(failure)],

            (Initialising { ready, .. }, Event::HandedOver) => self.initialised(true, ready),
            (Initialising { handed_over, .. }, Event::Ready(peer)) => self.initialised(handed_over, Some(peer)),

            (Committing, Event::Serving) => self.release(),

            (Releasing, Event::Released | Event::LauncherGone) => self.to(Notifying, vec![Action::Notify]),
            (Releasing, Event::Deadline(failure)) => self.to(Notifying, vec![Action::Log(failure), Action::Notify]),

            (Notifying, Event::Notified) => self.to(Yielding, vec![Action::Adopt]),
            (Notifying, Event::Deadline(failure)) => self.to(Yielding, vec![Action::Log(failure), Action::Adopt]),

            (Yielding, Event::Yielded | Event::Deadline(_)) => {
                let mut actions = vec![Action::Complete];
                if self.shutdown_pending {
                    actions.push(Action::PassShutdown);
                }
                actions.push(Action::Drain(Reason::Restart));
                self.to(Draining, actions)
            }

            (Initialising { .. }, Event::LauncherGone) => {
                let text = "the launcher ended without a report (killed?); the new generation was ended with it";
                self.roll_back(Failure::new(Code::SpawnFailed, text))
            }
            (Committing, Event::LauncherGone) => {
                self.launcher_gone = true;
                vec![]
            }

            (Initialising { .. } | Committing | Releasing, Event::NewDied(failure)) => self.roll_back(failure),
            (Notifying | Yielding, Event::NewDied(failure)) => self.after_rollback(Action::TakeBack(failure)),

            (Preparing | Initialising { .. } | Committing, Event::Deadline(failure)) => self.roll_back(failure),

            (RollingBack, Event::RolledBack) => self.to(Serving, vec![]),

            // Late echoes: of a process already given up, of a clock already stopped, of a hook nobody waits for.
            (_, _) => vec![],
        }
    }

    /// Both halves of initialising, in either order, lead on.
    fn initialised(&mut self, handed_over: bool, ready: Option<Peer>) -> Vec<Action> {
        match (handed_over, ready) {
            (true, Some(Peer::Ours)) => self.to(State::Committing, vec![Action::Commit]),
            (true, Some(Peer::Crate)) => self.release(),
            _ => self.to(State::Initialising { handed_over, ready }, vec![]),
        }
    }

    fn release(&mut self) -> Vec<Action> {
        match self.launcher_gone {
            true => self.to(State::Notifying, vec![Action::Notify]),
            false => self.to(State::Releasing, vec![Action::Release]),
        }
    }

    fn roll_back(&mut self, failure: Failure) -> Vec<Action> {
        self.after_rollback(Action::RollBack(failure))
    }

    /// A shutdown that waited for the restart to end need wait no longer when it has failed.
    fn after_rollback(&mut self, action: Action) -> Vec<Action> {
        match self.shutdown_pending {
            true => self.to(State::Draining, vec![action, Action::Drain(Reason::Shutdown)]),
            false => self.to(State::RollingBack, vec![action]),
        }
    }

    fn to(&mut self, state: State, actions: Vec<Action>) -> Vec<Action> {
        self.state = state;
        actions
    }
}

#[cfg(test)]
mod pair;
#[cfg(test)]
mod tests;
