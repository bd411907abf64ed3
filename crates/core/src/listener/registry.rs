//! All listeners of this generation, inherited or bound, and which of them the application has claimed.

mod held;

use super::bind::bind_with_file;
use super::{Address, FileId, Listener, Request, Source, default_name};
use crate::{Code, Failure};
use held::{Held, SocketFile};
use std::io;
use std::os::fd::OwnedFd;

/// Every listener of this generation. One owner, on one thread.
#[derive(Debug, Default)]
pub struct Registry {
    held: Vec<Held>,
    /// Socket files of listeners dropped while it was contested whose they are.
    left_behind: Vec<SocketFile>,
    /// Another generation has the same sockets, and may be the one that serves: the old one's, until this one owns the
    /// service, or the next one's.
    contested: bool,
    /// The service manager keeps listeners of ours, and gives them back as if they were its own.
    stores: bool,
    /// The service ends: what is stored is to stay as it is.
    ending: bool,
}

/// What the application gets for its request.
#[derive(Debug)]
pub struct Claim {
    /// The listener's name.
    pub name: String,
    /// Where it really listens.
    pub address: Address,
    /// A copy of the socket, for the runtime to own.
    pub fd: OwnedFd,
    /// It was inherited, not bound.
    pub inherited: bool,
}

/// What the next generation is given of a listener.
#[derive(Debug)]
pub struct Shared {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// What the next generation is to take it for: `Generation` or `ServiceManager`.
    pub source: Source,
    /// Its socket file, if it has one.
    pub file: Option<FileId>,
    /// A copy of the socket.
    pub fd: OwnedFd,
}

impl Registry {
    /// Takes in an inherited listener, before any claim.
    pub fn inherit(&mut self, listener: Listener) {
        self.contested |= listener.source == Source::Generation;
        self.held.push(Held::new(listener, false));
    }

    /// Gives the application the listener it asks for: the inherited one of that name, else an inherited one of equal
    /// address (port 0 or no host match any), else one newly bound.
    ///
    /// # Errors
    /// INVALID_ARG for an empty name or one in use; LISTENER where the service manager's listener of that name is
    /// elsewhere; the system's when binding fails. A failed claim changes nothing.
    pub fn claim(&mut self, request: &Request) -> Result<Claim, Failure> {
        let name = self.free_name(request)?;
        if let Some(index) = self.find_inherited(&name, request)? {
            let held = &mut self.held[index];
            let fd = held.give(request)?;
            held.claimed = true;
            held.listener.name.clone_from(&name);
            return Ok(Claim { name, address: held.listener.address.clone(), fd, inherited: true });
        }
        let bound = bind_with_file(request)?;
        let listener = Listener { name, address: bound.address, fd: bound.fd, source: Source::Bound, file: bound.file };
        let held = Held::new(listener, true);
        let given = held.listener.fd.try_clone();
        match given {
            Ok(fd) => {
                let claim = Claim {
                    name: held.listener.name.clone(),
                    address: held.listener.address.clone(),
                    fd,
                    inherited: false,
                };
                self.held.push(held);
                Ok(claim)
            }
            Err(error) => {
                held.close();
                Err(Failure::system("dup", &error))
            }
        }
    }

    /// Another copy of a listener in use, for an application that has closed the one it had.
    ///
    /// # Errors
    /// LISTENER where none of that name is in use; the system's when it cannot be copied.
    pub fn reclaim(&self, name: &str) -> Result<Claim, Failure> {
        let Some(held) = self.held.iter().find(|held| held.claimed && held.listener.name == name) else {
            return Err(Failure::new(Code::Listener, format!("no listener named '{name}' is left to accept on again")));
        };
        let fd = held.listener.fd.try_clone().map_err(|error| Failure::system("dup", &error))?;
        Ok(Claim { name: name.into(), address: held.listener.address.clone(), fd, inherited: true })
    }

    /// The listeners in use.
    pub fn listeners(&self) -> Vec<(String, Address)> {
        self.names(true)
    }

    /// The inherited listeners that nobody has claimed yet.
    pub fn unclaimed(&self) -> Vec<(String, Address)> {
        self.names(false)
    }

    /// The service is this generation's. What nobody has claimed is closed: the service does not listen there any more, so
    /// its socket files go, and with them those of what the application has closed.
    pub fn own(&mut self) {
        self.contested = false;
        for held in self.held.extract_if(.., |held| !held.claimed) {
            held.close();
        }
        self.unlink_left_behind();
    }

    /// The application closed its server: our copy goes, and its socket file, if it is still the one we know. While
    /// another generation has it as well, the file stays until it is clear who serves.
    pub fn drop_listener(&mut self, name: &str) {
        let Some(index) = self.held.iter().position(|held| held.claimed && held.listener.name == name) else { return };
        let held = self.held.swap_remove(index);
        match held.file {
            Some(_) if self.ending && held.stored => {}
            Some(file) if self.contested => self.left_behind.push(file),
            _ => held.close(),
        }
    }

    /// Copies of all listeners for the next generation.
    ///
    /// # Errors
    /// When a descriptor cannot be copied, such as `EMFILE`.
    pub fn share(&mut self) -> io::Result<Vec<Shared>> {
        // What an earlier next generation, which failed, might have needed.
        self.unlink_left_behind();
        let shared: io::Result<Vec<_>> = self.held.iter().map(|held| held.listener.share()).collect();
        self.contested = shared.is_ok();
        shared
    }

    /// The next generation serves: our copies are closed, and its socket files left alone.
    pub fn release(&mut self) {
        self.held.clear();
        self.left_behind.clear();
    }

    /// The service ends for good: everything is closed and our socket files are removed, but for what is stored.
    pub fn end(&mut self) {
        for held in self.held.drain(..).filter(|held| !held.stored) {
            held.close();
        }
        self.unlink_left_behind();
    }

    /// Whether the service manager is to keep our listeners: then one that it gives is not to be insisted on.
    pub fn stores(&mut self, stores: bool) {
        self.stores = stores;
    }

    /// Copies of the listeners in use, by name, for the service manager to keep.
    ///
    /// # Errors
    /// When a descriptor cannot be copied, such as `EMFILE`.
    pub fn copies(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let used = self.held.iter().filter(|held| held.claimed);
        used.map(|held| Ok((held.listener.name.clone(), held.listener.fd.try_clone()?))).collect()
    }

    /// The service manager keeps that listener: at the end its socket file stays.
    pub fn keep(&mut self, name: &str) {
        for held in self.held.iter_mut().filter(|held| held.claimed && held.listener.name == name) {
            held.stored = true;
        }
    }

    /// The service is about to end: what the application closes from here on, it closes for that reason.
    pub fn ending(&mut self) {
        self.ending = true;
    }

    fn free_name(&self, request: &Request) -> Result<String, Failure> {
        let name = request.name.clone().unwrap_or_else(|| default_name(request));
        if name.is_empty() {
            return Err(Failure::new(Code::InvalidArg, "the name of a listener is empty; leave it out or choose one"));
        }
        match self.held.iter().find(|held| held.claimed && held.listener.name == name) {
            None => Ok(name),
            Some(held) => Err(Failure::new(
                Code::InvalidArg,
                format!(
                    "a listener named '{name}' is in use already, at {}; give each listener a `name` of its own",
                    held.listener.address
                ),
            )),
        }
    }

    /// By name; else by equal address. `None`: to be bound.
    fn find_inherited(&self, name: &str, request: &Request) -> Result<Option<usize>, Failure> {
        let find =
            |fits: &dyn Fn(&Listener) -> bool| self.held.iter().position(|held| !held.claimed && fits(&held.listener));
        let by_name = find(&|listener| listener.is_named(name) && listener.address.will_do(request));
        if by_name.is_some() {
            return Ok(by_name);
        }
        let managed = |listener: &Listener| listener.source == Source::ServiceManager;
        if let Some(index) = find(&|listener| listener.is_named(name) && managed(listener))
            && !self.stores
        {
            return Err(elsewhere(&self.held[index].listener, request));
        }
        let exact = find(&|listener| listener.address.is_exactly(request));
        // A generation names its listeners as the next one does, so port 0, which can always be bound anew, must not
        // take from it what another claim will ask for; the service manager's names are not ours.
        let any_port = request.address.is_any_port();
        let loose = || find(&|listener| listener.address.will_do(request) && (!any_port || managed(listener)));
        Ok(exact.or_else(loose))
    }

    fn names(&self, claimed: bool) -> Vec<(String, Address)> {
        let chosen = self.held.iter().filter(|held| held.claimed == claimed);
        chosen.map(|held| (held.listener.name.clone(), held.listener.address.clone())).collect()
    }

    fn unlink_left_behind(&mut self) {
        self.left_behind.drain(..).for_each(|file| file.unlink());
    }
}

fn elsewhere(listener: &Listener, request: &Request) -> Failure {
    Failure::new(
        Code::Listener,
        format!(
            "the service manager's socket '{}' listens on {}, but {} was asked for; change the address in one of the two, or give this listener another `name`",
            listener.name, listener.address, request.address
        ),
    )
}

#[cfg(test)]
mod tests;
