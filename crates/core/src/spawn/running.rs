//! A launcher at work, on the tokio runtime.

use super::Report;
use super::launcher::{Launcher, Process, send_flags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, send};
use rustix::process::{Pid, Signal, kill_process};
use shellflip_launcher::{Command, REPORT_LEN};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The new generation as its launcher reports it. Dropped: the launcher goes, the new generation is left alone.
#[derive(Debug)]
pub struct Running {
    /// `None` once the launcher has said its last word and was reaped.
    launcher: Option<Live>,
    pid: Option<u32>,
    pidfd: Option<OwnedFd>,
    /// The new generation was reaped, so that its pid may be another's.
    ended: bool,
}

#[derive(Debug)]
struct Live {
    control: UnixStream,
    /// What of START and of the commands the socket had no room for yet.
    unsent: Vec<u8>,
    /// A report of which only the beginning is here.
    partial: Vec<u8>,
    /// Held to be reaped.
    _process: Process,
}

impl Running {
    pub(super) fn new(launcher: Launcher) -> io::Result<Self> {
        let Launcher { process, control, unsent } = launcher;
        let control = UnixStream::from_std(control)?;
        let live = Live { control, unsent, partial: Vec::new(), _process: process };
        Ok(Running { launcher: Some(live), pid: None, pidfd: None, ended: false })
    }

    /// The next report; after the final one always `Gone`. May be dropped and called again without losing any.
    pub async fn next(&mut self) -> Report {
        let Some(live) = &mut self.launcher else { return Report::Gone };
        let report = live.next(&mut self.pidfd).await.unwrap_or(Report::Gone);
        match report {
            Report::Started { pid } => {
                self.pid = Some(pid);
                return report;
            }
            Report::Failed { .. } | Report::Exited { .. } | Report::Signaled { .. } => self.ended = true,
            Report::Released | Report::Gone => {}
        }
        // Reaps the launcher.
        self.launcher = None;
        report
    }

    /// Kills the new generation, if it is alive; `next()` then reports its end. By pidfd, with or without a launcher;
    /// where there is none by the launcher, and without one by pid.
    pub fn kill(&mut self) {
        if self.ended {
            return;
        }
        match &mut self.launcher {
            Some(live) if self.pidfd.is_none() => live.command(Command::Kill),
            _ => self.signal(Signal::KILL),
        }
    }

    /// Asks the new generation to end, by SIGTERM.
    pub fn terminate(&mut self) {
        if !self.ended {
            self.signal(Signal::TERM);
        }
    }

    /// Asks the launcher to let go: `next()` then reports `Released`, or how the new generation had ended by then.
    pub fn release(&mut self) {
        if let Some(live) = &mut self.launcher {
            live.command(Command::Release);
        }
    }

    /// The new generation's pid, from `Started` on.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The new generation's pidfd, from `Started` on, where the kernel has them. Readable once it has ended.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// By pidfd, or by pid where there is none. Fails only where it has ended.
    fn signal(&self, signal: Signal) {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = &self.pidfd {
            let _ = rustix::process::pidfd_send_signal(pidfd, signal);
            return;
        }
        if let Some(pid) = self.pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, signal);
        }
    }

    #[cfg(test)]
    #[cfg(target_os = "linux")]
    pub(super) fn launcher_pid(&self) -> Option<u32> {
        self.launcher.as_ref().map(|live| live._process.id())
    }
}

impl Live {
    fn command(&mut self, command: Command) {
        self.unsent.push(command.byte());
        // What cannot be sent now is sent by `next`; a dead launcher shows there as well.
        let _ = flush(&self.control, &mut self.unsent);
    }

    /// `None` at the end of the stream, or of sense. All progress is kept in `self`, none across an await.
    async fn next(&mut self, pidfd: &mut Option<OwnedFd>) -> Option<Report> {
        let Live { control: socket, unsent, partial, .. } = self;
        let work = || {
            match flush(socket, unsent) {
                // A launcher that is gone may have left a last word.
                Err(errno) if errno != Errno::AGAIN => unsent.clear(),
                _ => {}
            }
            Ok(receive(socket, partial, pidfd)?)
        };
        let report = socket.async_io(Interest::READABLE | Interest::WRITABLE, work).await.ok()??;
        shellflip_launcher::Report::decode(report).map(Report::from)
    }
}

/// Sends what the socket takes.
fn flush(socket: &UnixStream, unsent: &mut Vec<u8>) -> Result<(), Errno> {
    while !unsent.is_empty() {
        let sent = retry_on_intr(|| send(socket, unsent, send_flags()))?;
        unsent.drain(..sent);
    }
    Ok(())
}

/// Reads up to the end of one report; `None` at the end of the stream.
fn receive(
    socket: &UnixStream,
    partial: &mut Vec<u8>,
    pidfd: &mut Option<OwnedFd>,
) -> Result<Option<[u8; REPORT_LEN]>, Errno> {
    loop {
        if let Ok(report) = <[u8; REPORT_LEN]>::try_from(partial.as_slice()) {
            partial.clear();
            return Ok(Some(report));
        }
        let mut bytes = [0; REPORT_LEN];
        let room = &mut bytes[partial.len()..];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received =
            retry_on_intr(|| recvmsg(socket, &mut [IoSliceMut::new(room)], &mut ancillary, receive_flags()))?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                *pidfd = descriptors.next();
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        partial.extend(&room[..received.bytes]);
    }
}

fn receive_flags() -> RecvFlags {
    #[cfg(target_os = "linux")]
    return RecvFlags::CMSG_CLOEXEC;
    // Only Linux has pidfds to receive.
    #[cfg(not(target_os = "linux"))]
    return RecvFlags::empty();
}
