//! A generation that nobody has named. The main process says that it begins one, and can name it only once there is a
//! process: if it is killed in between, a launcher is at work below us, or a generation that goes on alone.
//!
//! The launcher is known by its name, a generation by its channel, which is bound to its pid. Another service below us looks
//! the same: so nobody looks unless one was begun.

use super::process::Process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;
use shellflip_core::environment::CHANNEL;
use std::fs;

/// As it is started, whatever file it is.
const LAUNCHER: &[u8] = b"shellflip-launcher";
/// A launcher ends as soon as it has lost its old generation, and what it has created becomes a program at once: two
/// seconds, after which it is one that was stopped.
const LOOKS: u32 = 200;
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// A generation below us that is not `known`. Waits for a launcher that is at work.
pub fn find(known: impl Fn(Pid) -> bool) -> Option<Process> {
    for _ in 0..LOOKS {
        let below = below();
        if let Some(generation) = below.iter().find(|process| !known(process.pid()) && is_generation(process.pid())) {
            return Process::descendant(generation.pid());
        }
        let launching = below.iter().find(|process| is_launcher(process.pid()))?;
        // Its end, or another look: that a process becomes a program nobody tells.
        let _ = match launching.watch_any() {
            Some(handle) => poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&PAUSE)),
            None => poll(&mut [], Some(&PAUSE)),
        };
    }
    None
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
