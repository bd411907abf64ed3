//! This process is about to end: what is the service's goes with it only if the service ends, and exactly one generation
//! knows that it does.

use super::lock;
use super::run::Running;
use crate::channel::Received;
use crate::coordination::Bound;
use crate::restart::{Reason, State};
use crate::successor;

impl Running {
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
        // Another generation's pid stays in it.
        self.pid_file = None;
        if service_ends {
            self.server = None;
            lock(&self.shared.view).socket = None;
            self.bound.take().map(Bound::unlink);
            lock(&self.shared.registry).end();
        }
    }

    /// This generation is about to end. Whether it is the service is settled now: ADOPTED has come, or fails at its sender,
    /// who goes on. Two could else leave the service's files to each other.
    fn settle_adoption(&mut self) {
        if self.successor.state() == successor::State::Owning {
            return;
        }
        let Some(mut elder) = self.elder.take() else { return };
        elder.incoming.stop_listening();
        while let Some(received @ Received::Frame(..)) = elder.incoming.arrived() {
            self.elder(received);
        }
        if elder.incoming.hung_up() {
            self.elder(Received::End);
        }
    }
}
