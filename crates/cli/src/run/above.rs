//! The service manager above us, if there is one: it hears what the service says, from us.

use crate::output;
use shellflip_core::notify::Notifier;
use std::os::fd::BorrowedFd;

pub struct Above {
    notifier: Notifier,
    /// It could not be told the last time, which was said.
    deaf: bool,
}

impl Above {
    /// As $NOTIFY_SOCKET says.
    pub fn from_env() -> Above {
        Above { notifier: Notifier::from_env(), deaf: false }
    }

    /// Nothing, if `words` are empty.
    pub fn tell(&mut self, words: &str, descriptors: &[BorrowedFd<'_>]) {
        if words.is_empty() {
            return;
        }
        let told = self.notifier.send_with(words, descriptors);
        if let (Err(error), false) = (&told, self.deaf) {
            output::aside(&format!("shellflip run: the service manager could not be told: {error}"));
        }
        self.deaf = told.is_err();
    }
}
