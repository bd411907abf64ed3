//! What the kernel says of another process. A pid that somebody names may be anybody's, or nobody's by now.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, pidfd_send_signal, test_kill_process, wait,
};
use std::fs;
use std::os::fd::OwnedFd;

/// More generations of processes than lie between us and any of the service's.
const MOST_ANCESTORS: u32 = 64;
/// A process in between may end while we look, and its children have another parent then.
const ATTEMPTS: u32 = 3;

/// A process of the service.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    /// Means this process for ever, while its number may become another's. `None`: it is gone already, or the kernel is
    /// older than 5.3, or a seccomp filter forbids it.
    handle: Option<OwnedFd>,
}

impl Process {
    /// A child that we have not reaped, or one that we just have.
    pub fn child(pid: Pid) -> Process {
        Process { pid, handle: pidfd_open(pid, PidfdFlags::empty()).ok() }
    }

    /// One that somebody named, if it is alive and a descendant of ours. Without /proc every process counts as one.
    pub fn descendant(pid: Pid) -> Option<Process> {
        let process = Process::child(pid);
        let ours = look(getpid()).is_none() || (0..ATTEMPTS).any(|_| descends_from_us(pid));
        // Alive after all that: it was this process that we looked at.
        (ours && process.is_alive()).then_some(process)
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it runs, or waits for us to reap it.
    pub fn is_alive(&self) -> bool {
        match &self.handle {
            Some(handle) => !has_ended(handle) || look(self.pid).is_some_and(|seen| seen.zombie && seen.is_child()),
            // Zombies count as alive.
            None => test_kill_process(self.pid) != Err(Errno::SRCH),
        }
    }

    /// Becomes readable when it ends, of which no SIGCHLD would tell. `None`: it is a child, or cannot be watched.
    pub fn watch(&self) -> Option<&OwnedFd> {
        self.handle.as_ref().filter(|_| !look(self.pid).is_some_and(|seen| seen.is_child()))
    }

    /// Whether nothing tells us of its end if it is no child.
    pub fn is_unwatchable(&self) -> bool {
        self.handle.is_none()
    }

    /// Sends a signal. One that has ended has no use for it: no error.
    pub fn send(&self, signal: Signal) -> Result<(), Errno> {
        let sent = match self.handle.as_ref().map(|handle| pidfd_send_signal(handle, signal)) {
            None | Some(Err(Errno::NOSYS)) => kill_process(self.pid, signal),
            Some(sent) => sent,
        };
        if sent == Err(Errno::SRCH) { Ok(()) } else { sent }
    }
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
        next = next.and_then(look).and_then(|seen| seen.parent);
        if next == Some(getpid()) {
            return true;
        }
    }
    false
}

fn has_ended(handle: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&Timespec::default())) == Ok(1)
}

struct Seen {
    zombie: bool,
    parent: Option<Pid>,
}

impl Seen {
    fn is_child(&self) -> bool {
        self.parent == Some(getpid())
    }
}

/// From /proc/PID/stat: `pid (name) state ppid …`, where the name may itself hold spaces and parentheses.
fn look(pid: Pid) -> Option<Seen> {
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let mut rest = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let zombie = rest.next()? == "Z";
    Some(Seen { zombie, parent: rest.next()?.parse().ok().and_then(Pid::from_raw) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
    }

    fn cat() -> Child {
        Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn descendants_are_ours_and_others_are_not() {
        let mut child = cat();
        let process = Process::descendant(pid(&child)).unwrap();
        assert!(process.is_alive() && process.watch().is_none());
        assert!(Process::descendant(getpid()).is_none());
        let above = look(getpid()).unwrap().parent.unwrap();
        assert!(Process::descendant(above).is_none());
        assert!(Process::child(above).watch().is_some());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!process.is_alive() && Process::descendant(pid(&child)).is_none());
    }

    #[test]
    fn one_that_has_ended_and_is_not_reaped_is_alive_and_cannot_be_hurt() {
        let mut child = cat();
        let process = Process::child(pid(&child));
        assert_eq!(process.send(Signal::KILL), Ok(()));
        while !has_ended(process.handle.as_ref().unwrap()) {}
        assert!(process.is_alive());
        assert_eq!(process.send(Signal::KILL), Ok(()));
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert_eq!(process.send(Signal::KILL), Ok(()));
    }
}
