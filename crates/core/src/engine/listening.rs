//! The listeners as JavaScript asks for them. None of it waits for the engine's thread.

use super::{Command, Engine, Old, lock};
use crate::channel::send_now;
use crate::error::Failure;
use crate::listener::{Address, Claim, Request};
use crate::message::Frame;
use std::os::fd::AsFd;

impl Engine {
    /// Another copy of a listener that the application stopped at [`Event::Release`], after [`Event::Resume`].
    pub fn reclaim(&self, name: &str) -> Result<Claim, Failure> {
        lock(&self.shared.registry).reclaim(name)
    }

    /// Binds, or claims what was inherited.
    pub fn claim(&self, request: &Request) -> Result<Claim, Failure> {
        let claim = lock(&self.shared.registry).claim(request)?;
        if let (true, Old::Channel(end)) = (claim.inherited, &lock(&self.shared.view).old) {
            send_now(end.as_fd(), &Frame::Claimed(claim.name.clone()));
        }
        self.send(Command::Listening);
        Ok(claim)
    }

    /// The application closed that listener.
    pub fn drop_listener(&self, name: &str) {
        lock(&self.shared.registry).drop_listener(name);
        self.send(Command::Listening);
    }

    /// What the application listens on.
    pub fn listeners(&self) -> Vec<(String, Address)> {
        lock(&self.shared.registry).listeners()
    }

    /// What was inherited and not claimed yet.
    pub fn unclaimed(&self) -> Vec<(String, Address)> {
        lock(&self.shared.registry).unclaimed()
    }

    /// The ticket keys that the old generation used on that listener.
    pub fn ticket_keys(&self, name: &str) -> Option<Vec<u8>> {
        lock(&self.shared.tickets).get(name).cloned()
    }
}
