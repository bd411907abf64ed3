//! This process is about to end: what is the service's goes with it only if the service ends, and exactly one generation
//! knows that it does.

use super::act::STEP_TIMEOUT;
use super::running::Running;
use super::{Command, lock};
use crate::channel::Received;
use crate::coordination::Bound;
use crate::restart::{self, Reason, State};
use crate::successor;

impl Running {
    /// This process is told to end. Supervisors know it as the main process a moment before the service is its own: who ended
    /// without that would leave the service to the old generation, whom nobody has told. So it waits until that has let go.
    pub(super) fn shut_down(&mut self) {
        if self.told_to_end {
            return;
        }
        if !matches!(self.successor.state(), successor::State::Serving | successor::State::Adopted) {
            return self.step(restart::Event::Shutdown);
        }
        self.told_to_end = true;
        self.trace("told to end, once the service is ours".into());
        let commands = self.commands.clone();
        tokio::spawn(async move {
            tokio::time::sleep(STEP_TIMEOUT).await;
            let _ = commands.send(Command::ShutdownDue);
        });
    }

    /// The service is ours, or will not be in time: what has waited for that.
    pub(super) fn shut_down_if_asked(&mut self) {
        if std::mem::take(&mut self.told_to_end) {
            self.step(restart::Event::Shutdown);
        }
    }

    /// What belongs to the service ends with it, unless another generation has it now.
    pub(super) fn end(&mut self) {
        self.settle_adoption();
        let service_ends = match (self.draining, self.restart.state()) {
            // What is left is the old one's, which will learn that this one ends unadopted.
            (Some(_), _) if self.successor.state() != successor::State::Owning && self.successor.has_old() => false,
            (Some(reason), _) => reason == Reason::Shutdown,
            // The application called process.exit().
            (None, State::Serving | State::Preparing | State::RollingBack) => true,
            (None, State::Starting) => !self.successor.has_old(),
            // The new generation goes on without us.
            (None, _) => false,
        };
        match self.pid_file.take() {
            // The old generation writes its own there again.
            Some(pid_file) if self.successor.state() == successor::State::Adopted => pid_file.leave(),
            // Another generation's pid stays in it.
            pid_file => drop(pid_file),
        }
        if service_ends {
            self.server = None;
            lock(&self.shared.view).socket = None;
            self.bound.take().map(Bound::unlink);
            lock(&self.shared.registry).end();
        }
    }

    /// This generation is about to end. Whether it is the service is settled now: ADOPTED or LETGO has come, or fails at its
    /// sender, who goes on, with the files of the service. Two could else leave these to each other.
    fn settle_adoption(&mut self) {
        if self.successor.state() == successor::State::Owning {
            return;
        }
        // Before the old one's words fail: seeing that, it would go on.
        let told = self.service_is_to_end();
        let Some(elder) = &self.elder else { return };
        if told {
            elder.shut_down();
        }
        elder.incoming.stop_listening();
        while let Some(received @ Received::Frame(..)) = self.elder.as_mut().and_then(|elder| elder.incoming.arrived())
        {
            self.elder(received);
        }
        if self.elder.as_ref().is_some_and(|elder| elder.incoming.hung_up()) {
            self.elder(Received::End);
        }
        if let Some(elder) = self.elder.take()
            && self.service_is_to_end()
            && !told
        {
            elder.shut_down();
        }
    }

    /// Whether the old generation must not go on when this one ends. Told to end, and too impatient to wait for the old one,
    /// as after a second SIGINT: then that one ends the service.
    fn service_is_to_end(&self) -> bool {
        self.told_to_end || (self.answers() && self.draining == Some(Reason::Shutdown))
    }
}
