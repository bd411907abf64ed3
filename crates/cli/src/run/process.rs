//! What the kernel says of another process. A pid that somebody names may be anybody's, or nobody's by now.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, getpid, pidfd_open, test_kill_process, wait};
use std::fs;
use std::os::fd::OwnedFd;

/// More generations of processes than lie between us and any of the service's.
const MOST_ANCESTORS: u32 = 64;
/// A process in between may end while we look, and its children have another parent then.
const ATTEMPTS: u32 = 3;

/// Whether it runs, or waits for us to reap it.
pub fn alive(pid: Pid) -> bool {
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => !has_ended(&process) || is_child(pid),
        // Kernels before 5.3, or a seccomp filter: zombies count as alive.
        Err(Errno::NOSYS | Errno::PERM) => test_kill_process(pid) != Err(Errno::SRCH),
        Err(_) => false,
    }
}

/// Whether it is alive and a descendant of ours. Without /proc every process counts as one.
pub fn is_ours(pid: Pid) -> bool {
    alive(pid) && (parent(getpid()).is_none() || (0..ATTEMPTS).any(|_| descends_from_us(pid)))
}

/// Becomes readable when that process ends, of which no SIGCHLD would tell. `None`: it is a child, or gone.
pub fn watch(pid: Pid) -> Option<OwnedFd> {
    if is_child(pid) { None } else { pidfd_open(pid, PidfdFlags::empty()).ok() }
}

/// Whether we still have children, after all that have ended were reaped.
pub fn children_left() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(None) => return true,
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

fn descends_from_us(pid: Pid) -> bool {
    let mut next = Some(pid);
    for _ in 0..MOST_ANCESTORS {
        next = next.and_then(parent);
        if next == Some(getpid()) {
            return true;
        }
    }
    false
}

fn is_child(pid: Pid) -> bool {
    parent(pid) == Some(getpid())
}

fn has_ended(process: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&Timespec::default())) == Ok(1)
}

/// From /proc/PID/stat: `pid (name) state ppid …`, where the name may itself hold spaces and parentheses.
fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn pid(number: u32) -> Pid {
        Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
    }

    #[test]
    fn descendants_are_ours_and_others_are_not() {
        let mut shell = Command::new("sh").args(["-c", "cat; true"]).stdin(Stdio::piped()).spawn().unwrap();
        assert!(is_ours(pid(shell.id())));
        assert!(watch(pid(shell.id())).is_none());
        assert!(!is_ours(getpid()));
        let above = parent(getpid()).unwrap();
        assert!(alive(above) && !is_ours(above));
        assert!(watch(above).is_some());
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert!(!alive(pid(shell.id())) && !is_ours(pid(shell.id())));
    }
}
