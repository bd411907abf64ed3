//! What a generation finds in its environment: read once at load, validated, taken over, and wiped.
//!
//! A number in a variable proves nothing: the Rust crate leaks its variables into the processes its service starts. So
//! every descriptor is looked at (kind, direction, listening) before it is touched, and what is stale or foreign is
//! left exactly as it is, its variable deleted, and a warning says which. Only where the old generation is certainly
//! there (a valid channel or readiness pipe) is anything else that is wrong a failure: INHERITANCE.

mod descriptor;
mod reader;

use crate::{Failure, sys};
use reader::Reader;
use std::os::fd::{OwnedFd, RawFd};

/// The crate's readiness pipe: a descriptor.
pub(crate) const READINESS: &str = "OXY_NOTIFY_SOCKET";
/// The crate's coordination socket, listening: a descriptor.
pub(crate) const RESTART_SOCKET: &str = "OXY_RESTART_SOCKET";
/// The crate's handover pipe: a descriptor.
pub(crate) const HANDOVER: &str = "OXY_HANDOVER_PIPE";
/// Our channel: version:descriptor:pid.
pub const CHANNEL: &str = "SHELLFLIP_CHANNEL";
/// The number of the generation that is started.
pub(crate) const GENERATION: &str = "SHELLFLIP_GENERATION";
/// Whom `LISTEN_FDS` is for.
pub const LISTEN_PID: &str = "LISTEN_PID";
/// How many descriptors the service manager passes.
pub const LISTEN_FDS: &str = "LISTEN_FDS";
/// Their names, separated by colons.
pub const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";

/// All that is read here, and removed.
const ALL: [&str; 8] =
    [READINESS, RESTART_SOCKET, HANDOVER, CHANNEL, GENERATION, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES];

/// The world that `read` looks at; tests have their own.
pub trait Environment {
    /// The value of a variable; one that is not UTF-8 comes back lossy, and so as garbage.
    fn get(&self, name: &str) -> Option<String>;
    /// Removes a variable from the native environment.
    fn remove(&self, name: &str);
    /// The pid of this process.
    fn pid(&self) -> u32;
    /// Whether this process holds the other end of the pipe, too. Then it is one that the runtime made for itself, and the
    /// number was another's in another process: an old generation keeps its ends to itself.
    fn is_own_pipe(&self, fd: RawFd) -> bool;
    /// The number of the service manager's first descriptor.
    fn first_listener(&self) -> RawFd {
        3
    }
}

/// This process. To be read once, by the thread that loads the addon.
#[derive(Debug)]
pub struct Process;

impl Environment for Process {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn remove(&self, name: &str) {
        sys::remove_env(name);
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn is_own_pipe(&self, fd: RawFd) -> bool {
        descriptor::has_other_end(fd)
    }
}

/// What this generation was started with.
#[derive(Default)]
pub struct Inheritance {
    /// 1 in the first.
    pub generation: u32,
    /// The writing end of the readiness pipe.
    pub readiness: Option<OwnedFd>,
    /// The reading end of the handover pipe.
    pub handover: Option<crate::handover::Reader>,
    /// The coordination socket, listening.
    pub restart_socket: Option<OwnedFd>,
    /// The old generation's version of the channel, and our end.
    pub channel: Option<(u32, OwnedFd)>,
    /// The sockets of the service manager, with their names, which need not be unique.
    pub listeners: Vec<(String, OwnedFd)>,
    /// The variables that were there and are removed: `process.env` must lose them, too.
    pub wiped: Vec<String>,
    /// What was ignored, and why.
    pub warnings: Vec<String>,
    /// INHERITANCE: there is an old generation, but what it handed over is not whole.
    pub broken: Option<Failure>,
}

impl Inheritance {
    /// Whether an old generation started this one.
    pub fn is_successor(&self) -> bool {
        self.readiness.is_some() || self.channel.is_some()
    }
}

/// Reads, validates, takes over and wipes.
pub fn read(env: &impl Environment) -> Inheritance {
    Reader::new(env).read()
}

#[cfg(test)]
mod tests;
