//! The coordination socket of the generation that answers: it is to be reached under its path. A file that somebody
//! deleted comes back, by the generation that serves and again by the next one when it takes over.

use super::running::Running;
use super::{Event, lock};
use crate::coordination::{Bound, Server};
use crate::error::Failure;
use crate::restart::State;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How often the generation that serves looks whether the file is still there.
pub(super) const WATCH: Duration = Duration::from_secs(5);

impl Running {
    pub(super) fn answer_clients(&mut self) {
        let Some(bound) = self.bound.as_ref().filter(|_| self.server.is_none()) else { return };
        match Server::start(bound, self.questioner.clone(), &self.unanswered) {
            Ok(server) => self.server = Some(server),
            Err(error) => self.warn(format!("the coordination socket cannot be answered: {error}")),
        }
    }

    /// A cheap look, from time to time. Not while a restart is on: the new generation has been given this very socket.
    pub(super) fn watch_socket(&mut self) {
        if self.restart.state() != State::Serving {
            return;
        }
        match &self.bound {
            Some(bound) if !bound.in_place() => self.renew_socket(),
            Some(_) => self.found_socket(),
            None => {}
        }
    }

    /// A thorough look, where this generation begins to answer or is about to share its socket.
    pub(super) fn check_socket(&mut self) {
        match self.bound.as_mut().map(Bound::is_reached) {
            Some(false) => self.renew_socket(),
            Some(true) => self.found_socket(),
            None => {}
        }
    }

    fn renew_socket(&mut self) {
        let Some(lost) = &self.bound else { return };
        let renewed = lost.renewed(!self.options.socket_explicit).and_then(|bound| {
            let answered = self.answered(&bound).map_err(|error| Failure::system("dup", &error))?;
            Ok((bound, answered))
        });
        match renewed {
            Ok((bound, (shared, server))) => {
                let path = bound.path().display();
                self.warn(format!("coordination socket {path}: its file had been deleted, and is there again"));
                self.bound = Some(bound);
                self.server = Some(server);
                lock(&self.shared.view).socket = Some(shared);
                self.found_socket();
            }
            Err(failure) => self.lose_socket(failure.message),
        }
    }

    fn answered(&self, bound: &Bound) -> io::Result<(OwnedFd, Server)> {
        Ok((bound.share()?, Server::start(bound, self.questioner.clone(), &self.unanswered)?))
    }

    fn lose_socket(&mut self, why: String) {
        if self.lost_socket.as_ref() == Some(&why) {
            return;
        }
        self.warn(format!(
            "the coordination socket's file is gone, so that only a signal can restart this service; it comes back once \
             it can: {why}"
        ));
        self.lost_socket = Some(why);
        (self.sink)(Event::Socket { path: None });
    }

    fn found_socket(&mut self) {
        if self.lost_socket.take().is_some() {
            let path = self.bound.as_ref().map(|bound| bound.path().to_owned());
            (self.sink)(Event::Socket { path });
        }
    }
}
