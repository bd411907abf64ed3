//! Starts the next generation by way of the launcher, and learns how it ended.
//!
//! This process never forks: a posix_spawn of the tiny launcher is all it does itself, so the cost does not grow with
//! the heap. Every descriptor made here is closed on exec, and every launcher is reaped: when it has said its last
//! word, or when its owner is dropped (which leaves the new generation alone).

mod failure;
mod image;
mod launcher;
mod running;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

pub use failure::{failed, refused};
pub use image::{Image, prepare, set_launcher_path};
pub use launcher::{Launcher, start};
pub use running::Running;

use std::ffi::OsString;
use std::os::fd::OwnedFd;

/// What to start.
#[derive(Debug)]
pub struct Spec {
    /// The program: a path if it has a `/`, else looked for in the PATH of `env`.
    pub file: OsString,
    /// The arguments, `argv[0]` first.
    pub args: Vec<OsString>,
    /// The whole environment, in order.
    pub env: Vec<(OsString, OsString)>,
    /// The keys of `env` in whose values `{pid}` becomes the new generation's pid.
    pub pid_bound: Vec<OsString>,
    /// Its working directory.
    pub cwd: OsString,
    /// What becomes descriptor 3, 4, 5 and so on; 0, 1 and 2 are this process's own.
    pub pass: Vec<OwnedFd>,
}

/// What is heard of a new generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The program runs under this pid.
    Started {
        /// The new generation's pid.
        pid: u32,
    },
    /// Nothing was started; [`failed`] says it to a person.
    Failed {
        /// How far it came: `start`, `fork`, `cwd`, `descriptors` or `exec`.
        stage: String,
        /// The system's error number.
        errno: i32,
    },
    /// The new generation exited, and was reaped.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended the new generation, which was reaped.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// The launcher has let go of the living new generation, at our request.
    Released,
    /// The launcher died without a word about the new generation, which may live: `kill()` still reaches it.
    Gone,
    /// The new generation ended, and there is no launcher to tell how.
    Ended,
}

impl Report {
    /// `None` for what is only told to whoever may have to end the process.
    fn of(report: shellflip_launcher::Report) -> Option<Self> {
        use shellflip_launcher::Report as Wire;
        Some(match report {
            Wire::Created { .. } => return None,
            Wire::Started { pid } => Report::Started { pid },
            Wire::Failed { stage, errno } => Report::Failed { stage: stage.name().into(), errno },
            Wire::Exited { code } => Report::Exited { code },
            Wire::Signaled { signal } => Report::Signaled { signal },
            Wire::Released => Report::Released,
        })
    }
}
