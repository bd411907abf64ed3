//! Listeners in the service manager's descriptor store (`FDSTORE=1`), under their names: they outlive this process, and the
//! one that is started next is given them as `LISTEN_FDS`, with all connections that have come meanwhile.
//!
//! The store never answers. What it may hold is known only where `$FDSTORE` says so (systemd 254 and later); else systemd
//! logs what did not fit.

use super::running::Running;
use super::{Shared, lock};
use crate::listener::{FileId, Listener, fd_name};
use crate::successor;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What is in the store, by what was sent there.
#[derive(Debug, Default)]
pub(crate) struct Store {
    on: bool,
    /// How many descriptors it takes, where that is known.
    most: Option<usize>,
    /// By its name there.
    kept: BTreeMap<String, Kept>,
    /// Names there of what is of no use any more.
    useless: Vec<String>,
    /// Listeners that could not be stored, and of which the operator knows.
    refused: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Kept {
    listener: String,
    socket: Identity,
}

/// Which socket it is, whatever its descriptor.
type Identity = (u64, u64);

impl Store {
    /// Takes in what the service manager gave this process: sockets of units, and those from the store.
    pub fn new(on: bool, given: Vec<(String, OwnedFd)>, shared: &Shared, warnings: &mut Vec<String>) -> Store {
        let most = std::env::var("FDSTORE").ok().and_then(|most| most.parse().ok());
        let mut store = Store { on, most, ..Store::default() };
        let mut seen = Vec::new();
        let mut registry = lock(&shared.registry);
        registry.stores(on);
        for (name, descriptor) in given {
            // The socket of a unit that was stored as well comes twice.
            let which = identity(descriptor.as_fd());
            if which.is_some() && seen.contains(&which) {
                continue;
            }
            seen.push(which);
            match Listener::from_service_manager(name, descriptor) {
                Ok(listener) if on && is_out_of_reach(&listener) => {
                    warnings.push(format!(
                        "the socket file {} is gone, so that nobody reaches the stored socket '{}': a new one is bound; \
                         give the unit RuntimeDirectoryPreserve=restart if it was in its runtime directory",
                        listener.address, listener.name
                    ));
                    store.useless.push(listener.name);
                }
                Ok(listener) => registry.inherit(listener),
                Err(failure) => warnings.push(failure.message),
            }
        }
        store
    }
}

impl Running {
    /// Makes the store hold exactly the listeners in use. Not at the end: then it is to keep them.
    pub(super) fn store(&mut self) {
        let ours = self.is_main() && self.successor.state() == successor::State::Owning && self.draining.is_none();
        if !self.store.on || !ours || !self.manager.notifier.present() {
            return;
        }
        let copies = match lock(&self.shared.registry).copies() {
            Ok(copies) => copies,
            Err(error) => return self.warn(format!("fdStore: a listener cannot be copied: {error}")),
        };
        let wanted: BTreeMap<_, _> = copies.into_iter().map(|(name, fd)| (name, (identity(fd.as_fd()), fd))).collect();
        let stays = |kept: &Kept| wanted.get(&kept.listener).is_some_and(|(socket, _)| *socket == Some(kept.socket));
        let gone: Vec<_> =
            self.store.kept.iter().filter(|(_, kept)| !stays(kept)).map(|(name, _)| name.clone()).collect();
        gone.iter().for_each(|name| drop(self.store.kept.remove(name)));
        self.remove_stored(gone);
        for (listener, (socket, fd)) in wanted {
            let Some(socket) = socket else { continue };
            self.store_one(Kept { listener, socket }, fd.as_fd());
        }
    }

    fn store_one(&mut self, new: Kept, fd: BorrowedFd<'_>) {
        let name = fd_name(&new.listener);
        let full = self.store.most.filter(|&most| self.store.kept.len() >= most);
        let refused = match (self.store.kept.get(&name), full) {
            (Some(kept), _) if *kept == new => return,
            (Some(kept), _) => {
                format!("its name there would be that of '{}'; give it a shorter `name`", kept.listener)
            }
            (None, Some(most)) => format!("it takes {most} descriptors; raise FileDescriptorStoreMax in the unit"),
            (None, None) => match self.manager.notifier.send_with(&format!("FDSTORE=1\nFDNAME={name}"), &[fd]) {
                Ok(()) => {
                    lock(&self.shared.registry).keep(&new.listener);
                    self.store.kept.insert(name, new);
                    return;
                }
                Err(error) => error.to_string(),
            },
        };
        if !self.store.refused.contains(&new.listener) {
            let what = &new.listener;
            self.warn(format!("fdStore: the listener '{what}' is not in the service manager's store: {refused}"));
            self.store.refused.push(new.listener);
        }
    }

    /// What was inherited and not claimed is about to be closed: in the store clients would wait in its queue for ever.
    pub(super) fn forget_unclaimed(&mut self) {
        if !self.store.on {
            return;
        }
        let mut gone = std::mem::take(&mut self.store.useless);
        gone.extend(lock(&self.shared.registry).unclaimed().iter().map(|(name, _)| fd_name(name)));
        self.remove_stored(gone);
    }

    fn remove_stored(&self, names: Vec<String>) {
        for name in names {
            if let Err(error) = self.manager.notifier.send(&format!("FDSTOREREMOVE=1\nFDNAME={name}")) {
                self.warn(format!("fdStore: '{name}' could not be removed from the service manager's store: {error}"));
            }
        }
    }
}

/// Whether its path leads to it no more.
fn is_out_of_reach(listener: &Listener) -> bool {
    listener.address.file().is_some() && FileId::of_path(&listener.address).is_none()
}

#[allow(clippy::unnecessary_cast, reason = "the fields differ in type between platforms")]
fn identity(fd: BorrowedFd<'_>) -> Option<Identity> {
    rustix::fs::fstat(fd).ok().map(|stat| (stat.st_dev as u64, stat.st_ino as u64))
}
