//! A generation that nobody has named. The main process says that it begins one, and can name it only once there is a
//! process: if it is killed in between, a launcher is at work below us, or a generation that goes on alone.
//!
//! The launcher is known by its name, a generation by its channel, which is bound to its pid. Another service below us looks
//! the same: so nobody looks unless one was begun.

use super::process::Process;
use super::sys::Status;
use rustix::process::{Pid, Signal};
use shellflip_core::environment::CHANNEL;
use std::fs;
use std::time::{Duration, Instant};

/// As it is started, whatever file it is.
const LAUNCHER: &[u8] = b"shellflip-launcher";
/// A launcher ends as soon as it has lost its old generation, and what it has created becomes a program at once: after this
/// it is one that was stopped.
const PATIENCE: Duration = Duration::from_secs(2);
/// How soon to look again: that a process becomes a program nobody tells.
const PAUSE: Duration = Duration::from_millis(10);

/// The search for it, after the main process has ended.
#[derive(Debug)]
pub struct Search {
    /// How the main process did: so has the service, if nothing is found.
    pub ended: Status,
    /// What came meanwhile, for the one that is found.
    pub signals: Vec<Signal>,
    until: Instant,
}

/// What a look has shown.
#[derive(Debug)]
pub enum Found {
    /// A generation.
    Generation(Process),
    /// Only a launcher that is at work: it is too early to say.
    Launcher,
    /// Nothing.
    Nothing,
}

impl Search {
    pub fn after(ended: Status) -> Search {
        Search { ended, signals: Vec::new(), until: Instant::now() + PATIENCE }
    }

    /// When to look again.
    pub fn again(&self) -> Instant {
        Instant::now() + PAUSE
    }

    /// Looks for a generation below us that is not `known`.
    pub fn look(&self, known: impl Fn(Pid) -> bool) -> Found {
        let below = below();
        if let Some(generation) = below.iter().find(|process| !known(process.pid()) && is_generation(process.pid())) {
            return Process::descendant(generation.pid()).map_or(Found::Nothing, Found::Generation);
        }
        let launching = below.iter().any(|process| is_launcher(process.pid()));
        if launching && Instant::now() < self.until { Found::Launcher } else { Found::Nothing }
    }
}

fn below() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    names.filter_map(Pid::from_raw).filter_map(Process::descendant).collect()
}

fn is_launcher(pid: Pid) -> bool {
    read(pid, "cmdline").split(|&byte| byte == 0).next() == Some(LAUNCHER)
}

fn is_generation(pid: Pid) -> bool {
    let bound = format!(":{pid}");
    let channel = |variable: &[u8]| {
        let value = variable.strip_prefix(CHANNEL.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| value.ends_with(bound.as_bytes()))
    };
    read(pid, "environ").split(|&byte| byte == 0).any(channel)
}

fn read(pid: Pid, file: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default()
}
