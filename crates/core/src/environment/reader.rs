//! Reading the variables in the order of how certain they are, and keeping the books of what is wrong.

use super::descriptor::{self, Kind, check, number};
use super::{
    ALL, CHANNEL, Environment, GENERATION, HANDOVER, Inheritance, LISTEN_FDNAMES, LISTEN_FDS, LISTEN_PID, READINESS,
    RESTART_SOCKET,
};
use crate::{Code, Failure, sys};
use std::fmt::Display;
use std::os::fd::{OwnedFd, RawFd};

/// `LISTEN_PID` of the crate, which cannot know the pid of the process it starts.
const ANY_PID: &str = "auto";

pub(super) struct Reader<'a, E> {
    env: &'a E,
    found: Inheritance,
    /// Numbers that belong to somebody by now.
    taken: Vec<RawFd>,
    /// What the old generation got wrong, if there is one.
    faults: Vec<String>,
}

impl<'a, E: Environment> Reader<'a, E> {
    pub fn new(env: &'a E) -> Self {
        Reader { env, found: Inheritance::default(), taken: Vec::new(), faults: Vec::new() }
    }

    pub fn read(mut self) -> Inheritance {
        self.old_generation();
        self.listeners();
        self.generation();
        self.wipe();
        self.conclude()
    }

    /// The most certain first: a number that two variables name is the first one's.
    fn old_generation(&mut self) {
        self.found.readiness = self.descriptor(READINESS, Kind::WritableFifo);
        self.found.channel = self.channel();
        if self.found.readiness.is_none() {
            for name in [RESTART_SOCKET, HANDOVER] {
                if self.env.get(name).is_some() {
                    self.fault(name, "counts only together with a valid OXY_NOTIFY_SOCKET");
                }
            }
            if self.found.channel.is_some() && self.env.get(READINESS).is_none() {
                self.fault(READINESS, "is missing, although there is a channel");
            }
            return;
        }
        self.found.restart_socket = self.descriptor(RESTART_SOCKET, Kind::ListeningUnix);
        self.found.handover = self.descriptor(HANDOVER, Kind::ReadableFifo).map(crate::handover::Reader::new);
    }

    fn descriptor(&mut self, name: &str, kind: Kind) -> Option<OwnedFd> {
        let fd = self.validated(name, &self.env.get(name)?, kind)?;
        self.adopt(name, fd)
    }

    fn channel(&mut self) -> Option<(u32, OwnedFd)> {
        let value = self.env.get(CHANNEL)?;
        let parts: Vec<_> = value.split(':').collect();
        let parsed = match parts[..] {
            [version, fd, pid] => number::<u32>(version).zip(number::<u32>(pid)).map(|(v, pid)| (v, fd, pid)),
            _ => None,
        };
        let Some((version, fd, pid)) = parsed else {
            self.fault(CHANNEL, format!("is not version:fd:pid: '{}'", excerpt(&value)));
            return None;
        };
        if pid != self.env.pid() {
            self.warn(CHANNEL, format!("was meant for process {pid}, not for this one"));
            return None;
        }
        let fd = self.validated(CHANNEL, fd, Kind::ConnectedUnix)?;
        Some((version, self.adopt(CHANNEL, fd)?))
    }

    fn listeners(&mut self) {
        let count = self.env.get(LISTEN_FDS);
        let Some(pid) = self.env.get(LISTEN_PID) else {
            if count.is_some() {
                self.warn(LISTEN_FDS, "counts only together with LISTEN_PID");
            }
            return;
        };
        // The crate sets LISTEN_PID even where there is no LISTEN_FDS.
        let Some(count) = count else { return };
        if pid == ANY_PID && self.found.readiness.is_none() {
            return self.warn(LISTEN_PID, "is 'auto', which counts only together with a valid OXY_NOTIFY_SOCKET");
        }
        if pid != ANY_PID && number(&pid) != Some(self.env.pid()) {
            return self.warn(LISTEN_PID, format!("names another process ('{}'), not this one", excerpt(&pid)));
        }
        let first = self.env.first_listener();
        let end = number::<RawFd>(&count).and_then(|count| first.checked_add(count));
        let Some(end) = end else {
            return self.warn(LISTEN_FDS, format!("is not a number of descriptors: '{}'", excerpt(&count)));
        };
        let names = self.listener_names(end.abs_diff(first));
        for (index, fd) in (first..end).enumerate() {
            if !descriptor::is_open(fd) {
                // Whoever set it counted wrong; how far is not worth asking a thousand million times.
                return self.warn(LISTEN_FDS, format!("says {count}, but descriptor {fd} is not open"));
            }
            let name = names.get(index).map_or("unknown", String::as_str);
            self.listener(fd, name);
        }
    }

    fn listener(&mut self, fd: RawFd, name: &str) {
        let checked = self.free(fd).and_then(|()| check(fd, Kind::Listener));
        let adopted = checked.and_then(|()| sys::adopt(fd).map_err(|error| error.to_string()));
        match adopted {
            Ok(owned) => {
                self.taken.push(fd);
                self.found.listeners.push((name.to_owned(), owned));
            }
            Err(why) => self.warn(LISTEN_FDS, format!("passes descriptor {fd} ('{}'): {why}", excerpt(name))),
        }
    }

    fn listener_names(&mut self, count: u32) -> Vec<String> {
        let Some(value) = self.env.get(LISTEN_FDNAMES) else { return Vec::new() };
        let names: Vec<_> = value.split(':').map(str::to_owned).collect();
        if u32::try_from(names.len()) == Ok(count) || (count == 0 && value.is_empty()) {
            return names;
        }
        self.warn(LISTEN_FDNAMES, format!("has {} names for {count} descriptors", names.len()));
        Vec::new()
    }

    fn generation(&mut self) {
        let value = self.env.get(GENERATION);
        let known = value.as_deref().and_then(number::<u32>).filter(|&generation| generation > 0);
        if value.is_some() && known.is_none() {
            self.fault(GENERATION, format!("is not a number: '{}'", excerpt(value.as_deref().unwrap_or_default())));
        }
        self.found.generation = match (&self.found.channel, &self.found.readiness) {
            (Some(_), _) => known.unwrap_or(2).max(2),
            // A Rust process starts us and passes on what it was itself, if anything.
            (None, Some(_)) => known.unwrap_or(1).saturating_add(1),
            (None, None) => {
                if known.is_some() {
                    self.warn(GENERATION, "counts only together with an old generation");
                }
                1
            }
        };
    }

    fn wipe(&mut self) {
        for name in ALL {
            if self.env.get(name).is_some() {
                self.env.remove(name);
                self.found.wiped.push(name.to_owned());
            }
        }
    }

    fn conclude(mut self) -> Inheritance {
        if self.faults.is_empty() {
            return self.found;
        }
        if self.found.is_successor() {
            let message = format!(
                "what the old generation handed over is broken: {}; it goes on serving. Check that `command` runs the program itself and not through a wrapper",
                self.faults.join("; ")
            );
            self.found.broken = Some(Failure::new(Code::Inheritance, message));
        } else {
            let ignored = self.faults.iter().map(|fault| format!("{fault}; ignored and removed"));
            self.found.warnings.extend(ignored);
        }
        self.found
    }

    /// The descriptor that a variable names, if it is what it should be. Nothing is touched yet.
    fn validated(&mut self, name: &str, value: &str, kind: Kind) -> Option<RawFd> {
        let checked = match number::<RawFd>(value) {
            None => Err(format!("is not a descriptor: '{}'", excerpt(value))),
            Some(fd) => {
                let checked = self.free(fd).and_then(|()| check(fd, kind)).and_then(|()| self.not_our_own(fd, kind));
                checked.map(|()| fd).map_err(|why| format!("({fd}) {why}"))
            }
        };
        match checked {
            Ok(fd) => Some(fd),
            Err(why) => {
                self.fault(name, why);
                None
            }
        }
    }

    /// A number of another process may be one of the pipes that the runtime itself works with.
    fn not_our_own(&self, fd: RawFd, kind: Kind) -> Result<(), String> {
        let pipe = matches!(kind, Kind::WritableFifo | Kind::ReadableFifo);
        if pipe && self.env.is_own_pipe(fd) { Err("is a pipe of this process itself".into()) } else { Ok(()) }
    }

    fn free(&self, fd: RawFd) -> Result<(), String> {
        if self.taken.contains(&fd) { Err("is named by another variable, too".into()) } else { Ok(()) }
    }

    fn adopt(&mut self, name: &str, fd: RawFd) -> Option<OwnedFd> {
        match sys::adopt(fd) {
            Ok(owned) => {
                self.taken.push(fd);
                Some(owned)
            }
            Err(error) => {
                self.fault(name, error);
                None
            }
        }
    }

    /// Wrong: a failure where there is an old generation, else a warning.
    fn fault(&mut self, name: &str, why: impl Display) {
        self.faults.push(format!("{name} {why}"));
    }

    /// Not for us, whoever started us.
    fn warn(&mut self, name: &str, why: impl Display) {
        self.found.warnings.push(format!("{name} {why}; ignored and removed"));
    }
}

/// As much of a foreign value as a message needs.
fn excerpt(value: &str) -> String {
    value.chars().take(40).flat_map(char::escape_default).collect()
}
