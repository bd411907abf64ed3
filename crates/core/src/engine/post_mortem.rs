//! Signs of a death that may be something else: a pipe breaks before the launcher can say that its other side has died,
//! or breaks while that side lives on.

use super::Command;
use super::attempt::Attempt;
use super::running::Running;
use crate::error::{Code, Failure};
use crate::restart::{self, State};
use std::time::Duration;

/// How long a handover pipe that broke waits for the launcher's word on whether the new generation has died.
const BROKEN: Duration = Duration::from_millis(250);
/// The same for a readiness pipe that was closed: a runtime lets go of it early in a long clean-up before its exit.
const CLOSED: Duration = Duration::from_secs(1);

impl Running {
    /// A broken pipe is usually the new generation's death seen from one side; the launcher says more of it.
    pub(super) fn handover_failed(&mut self, attempt: u32, message: String) {
        if attempt != self.attempts {
            return;
        }
        let broken = self.attempt.as_mut().and_then(|attempt| attempt.handover.take()).is_some_and(|w| w.broken());
        if broken {
            return self.later(BROKEN, Command::HandoverFailed { attempt, message });
        }
        if self.attempt.as_ref().is_some_and(Attempt::dead) {
            return;
        }
        let failure = hook_failure(message, "handing over");
        let failure = Failure { pid: self.attempt.as_ref().and_then(Attempt::pid), ..failure };
        self.step(restart::Event::HookFailed(failure));
    }

    /// The readiness pipe was closed without a byte.
    pub(super) fn readiness_closed(&self) {
        self.later(CLOSED, Command::ReadinessClosed { attempt: self.attempts });
    }

    fn later(&self, wait: Duration, command: Command) {
        let commands = self.commands.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = commands.send(command);
        });
    }

    /// It was, and not by a death: the new generation lives and can never be ready.
    pub(super) fn never_ready(&mut self) {
        let Some(attempt) = self.attempt.as_ref().filter(|attempt| !attempt.dead()) else { return };
        if !matches!(self.restart.state(), State::Initialising { ready: None, .. }) {
            return;
        }
        let failure = attempt.gave_up(self.phase().unwrap_or_default());
        self.step(restart::Event::NewDied(failure));
    }
}

/// What a hook failed with; a text that begins with one of our codes keeps it.
pub(super) fn hook_failure(message: String, phase: &str) -> Failure {
    let failure = Failure::from_wire(&message);
    Failure { code: failure.code.or(Some(Code::HandoverFailed)), ..failure }.during(phase)
}
