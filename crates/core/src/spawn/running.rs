//! A launcher at work, on the tokio runtime.

use super::Report;
use super::launcher::{Launcher, Process};
use crate::{portable, sys};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, recvmsg, send};
use rustix::process::{Pid, Signal, kill_process};
use shellflip_launcher::{Command, REPORT_LEN, Report as Wire};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::time::Instant;

/// How long a launcher may take to report a death that its kernel object shows already: it says how, which is worth
/// waiting for on a loaded machine.
const REPORT_GRACE: Duration = Duration::from_secs(2);
/// The same for a death that we caused: there is nothing to learn, but reaping is the launcher's to do.
const REAP_GRACE: Duration = Duration::from_millis(250);

/// The new generation as its launcher reports it. Dropped: the launcher goes, the new generation is left alone.
#[derive(Debug)]
pub struct Running {
    /// `None` once the launcher has said its last word and was reaped.
    launcher: Option<Live>,
    pid: Option<u32>,
    pidfd: Option<AsyncFd<OwnedFd>>,
    /// The new generation was reaped, so that its pid may be another's.
    ended: bool,
    /// We have sent SIGKILL.
    killed: bool,
    /// When its death was seen that the launcher has not reported yet.
    seen_dead: Option<Instant>,
}

#[derive(Debug)]
struct Live {
    control: UnixStream,
    /// What of START and of the commands the socket had no room for yet.
    unsent: Vec<u8>,
    /// A report of which only the beginning is here.
    partial: Vec<u8>,
    /// Came with a report, and nobody took it yet.
    pidfd: Option<OwnedFd>,
    /// Held to be reaped.
    _process: Process,
}

impl Running {
    pub(super) fn new(launcher: Launcher) -> io::Result<Self> {
        let Launcher { process, control, unsent } = launcher;
        let control = UnixStream::from_std(control)?;
        let live = Live { control, unsent, partial: Vec::new(), pidfd: None, _process: process };
        Ok(Running { launcher: Some(live), pid: None, pidfd: None, ended: false, killed: false, seen_dead: None })
    }

    /// What is heard next. May be dropped and called again without losing anything. After the end always `Gone`.
    ///
    /// A launcher that does not report a death (stopped, or starved) is ended, and the report is `Ended`. So it is, where
    /// the kernel has pidfds, after `Released` and `Gone`, once the new generation has ended.
    pub async fn next(&mut self) -> Report {
        loop {
            let grace = if self.killed { REAP_GRACE } else { REPORT_GRACE };
            let Some(live) = &mut self.launcher else {
                if !self.watches() {
                    return Report::Gone;
                }
                dead(self.pidfd.as_ref()).await;
                return self.over(Report::Ended);
            };
            let wire = tokio::select! {
                biased;
                wire = live.next() => wire,
                () = unreported(self.pidfd.as_ref(), &mut self.seen_dead, grace) => return self.over(Report::Ended),
            };
            if let Some(pidfd) = live.pidfd.take() {
                // Without it death shows by the launcher alone, as where the kernel has none.
                self.pidfd = sys::watch(pidfd).ok();
            }
            if let Some(Wire::Created { pid }) = wire {
                self.pid = Some(pid);
            }
            match wire.map_or(Some(Report::Gone), Report::of) {
                None => {}
                Some(report @ Report::Started { .. }) => return report,
                Some(report @ (Report::Released | Report::Gone)) => {
                    // Reaps the launcher.
                    self.launcher = None;
                    return report;
                }
                Some(report) => return self.over(report),
            }
        }
    }

    /// Whether more than `Gone` may be heard once there is no launcher.
    pub fn watches(&self) -> bool {
        self.pidfd.is_some() && !self.ended
    }

    fn over(&mut self, report: Report) -> Report {
        self.launcher = None;
        self.ended = true;
        if matches!(report, Report::Failed { .. }) {
            (self.pid, self.pidfd) = (None, None);
        }
        report
    }

    /// Kills the new generation, if it is alive; `next()` then reports its end. By pidfd, with or without a launcher;
    /// where there is none by the launcher, and without one by pid.
    pub fn kill(&mut self) {
        if self.ended {
            return;
        }
        self.killed = true;
        if self.signal_by_pidfd(Signal::KILL) {
            return;
        }
        match &mut self.launcher {
            Some(live) => live.command(Command::Kill),
            None => self.signal_by_pid(Signal::KILL),
        }
    }

    /// Asks the new generation to end, by SIGTERM.
    pub fn terminate(&mut self) {
        if !self.ended && !self.signal_by_pidfd(Signal::TERM) {
            self.signal_by_pid(Signal::TERM);
        }
    }

    /// Ends the launcher, which was told to let go and did not. The new generation is left alone.
    pub fn end_launcher(&mut self) {
        self.launcher = None;
    }

    /// Asks the launcher to let go: `next()` then reports `Released`, or how the new generation had ended by then.
    pub fn release(&mut self) {
        if let Some(live) = &mut self.launcher {
            live.command(Command::Release);
        }
    }

    /// The new generation's pid, as soon as it exists.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The new generation's pidfd, as soon as it exists, where the kernel has them. Readable once it has ended.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(|pidfd| pidfd.get_ref().as_fd())
    }

    /// Whether the new generation has ended, as far as can be told without waiting.
    pub fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // pidfd_open(2): readable once the process has ended.
        self.ended
            || self.pidfd().is_some_and(|pidfd| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&now)) == Ok(1))
    }

    /// Whether it was signalled that way, or has ended. Not where there is no pidfd, nor where a filter of system calls or
    /// an emulator knows none of this one.
    fn signal_by_pidfd(&self, signal: Signal) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = self.pidfd() {
            return matches!(rustix::process::pidfd_send_signal(pidfd, signal), Ok(()) | Err(Errno::SRCH));
        }
        let _ = signal;
        false
    }

    fn signal_by_pid(&self, signal: Signal) {
        if let Some(pid) = self.pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            // Fails only where it has ended.
            let _ = kill_process(pid, signal);
        }
    }

    /// As where a signal cannot be sent that way.
    #[cfg(test)]
    #[cfg(target_os = "linux")]
    pub(super) fn without_pidfd_signals(&mut self) {
        // It never becomes readable, as of a process that lives.
        self.pidfd = io::pipe().ok().and_then(|(reader, writer)| {
            std::mem::forget(writer);
            sys::watch(OwnedFd::from(reader)).ok()
        });
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
    async fn next(&mut self) -> Option<Wire> {
        let Live { control: socket, unsent, partial, pidfd, .. } = self;
        let work = || {
            match flush(socket, unsent) {
                // A launcher that is gone may have left a last word.
                Err(errno) if errno != Errno::AGAIN => unsent.clear(),
                _ => {}
            }
            Ok(receive(socket, partial, pidfd)?)
        };
        let report = socket.async_io(Interest::READABLE | Interest::WRITABLE, work).await.ok()??;
        Wire::decode(report)
    }
}

/// Resolves once the new generation has ended; never where nothing tells.
async fn dead(pidfd: Option<&AsyncFd<OwnedFd>>) {
    match pidfd {
        // Fails only when the runtime ends.
        Some(pidfd) if pidfd.readable().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

/// Resolves once the new generation's death has gone unreported for so long.
async fn unreported(pidfd: Option<&AsyncFd<OwnedFd>>, since: &mut Option<Instant>, grace: Duration) {
    dead(pidfd).await;
    let since = *since.get_or_insert_with(Instant::now);
    tokio::time::sleep_until(since + grace).await;
}

/// Sends what the socket takes.
fn flush(socket: &UnixStream, unsent: &mut Vec<u8>) -> Result<(), Errno> {
    while !unsent.is_empty() {
        let sent = retry_on_intr(|| send(socket, unsent, portable::SEND))?;
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
            retry_on_intr(|| recvmsg(socket, &mut [IoSliceMut::new(room)], &mut ancillary, portable::RECEIVE))?;
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
