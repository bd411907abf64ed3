//! The life of a launcher once it has its START: one loop over the control socket, the new generation's way to
//! `execve` and its death.

use crate::{Failed, child, control, sys};
use control::Heard;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use shellflip_launcher::{Command, Report, Stage, Start};
use std::io::stdin;
use std::os::fd::{AsFd, OwnedFd};

/// The new generation, not yet reaped.
pub struct Generation {
    pid: Pid,
    /// The read end of the pipe that `execve` closes; `None` once the program runs.
    starting: Option<OwnedFd>,
    /// Becomes readable when a child has died.
    deaths: OwnedFd,
    /// Told to let go before the program ran.
    release: bool,
}

/// Creates the process that becomes the new generation. It waits until the old one has been told of it: whoever kills this
/// launcher leaves nothing behind that the old generation could not end.
pub fn start(start: Start, descriptors: Vec<OwnedFd>) -> Result<Generation, Failed> {
    let at = |stage| move |errno| (stage, errno);
    let (deaths, died) = sys::pipe().map_err(at(Stage::Descriptors))?;
    sys::watch_children(died);
    let (starting, failure) = sys::pipe().map_err(at(Stage::Descriptors))?;
    let (known, tell) = sys::pipe().map_err(at(Stage::Descriptors))?;
    let Some(pid) = sys::fork().map_err(at(Stage::Fork))? else {
        drop(tell);
        child::become_new_generation(start, descriptors, failure, known)
    };
    let pid_number = pid.as_raw_pid().cast_unsigned();
    // An old generation that has died cannot be told; then the new one goes on all the same.
    let _ = control::report_with(Report::Created { pid: pid_number }, open_pidfd(pid).as_ref().map(AsFd::as_fd));
    let _ = write(&tell, b"!");
    Ok(Generation { pid, starting: Some(starting), deaths, release: false })
}

/// `None` where the kernel has no pidfd, or forbids it.
#[cfg(target_os = "linux")]
fn open_pidfd(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_pidfd(_pid: Pid) -> Option<OwnedFd> {
    None
}

impl Generation {
    /// Watches until there is nothing left to do: the new generation ended, or is to be left alone.
    pub fn watch(mut self) -> Result<(), Errno> {
        loop {
            let (commanded, started, died) = self.wait()?;
            if started && let Some(report) = self.started()? {
                return control::report(report);
            }
            if died && let Some(report) = self.ended()? {
                return control::report(report);
            }
            if commanded {
                match control::hear() {
                    Some(Heard::End) => return Ok(()),
                    Some(Heard::Command(Command::Kill)) => kill_process(self.pid, Signal::KILL)?,
                    Some(Heard::Command(Command::Release)) => self.release = true,
                    None => {}
                }
            }
            if self.release && self.starting.is_none() {
                let report = self.ended()?.unwrap_or(Report::Released);
                return control::report(report);
            }
        }
    }

    /// Waits until something is to be done: on the control socket, at `execve`, for a death.
    fn wait(&self) -> Result<(bool, bool, bool), Errno> {
        let stdin = stdin();
        let mut wanted = vec![PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.deaths, PollFlags::IN)];
        wanted.extend(self.starting.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        retry_on_intr(|| poll(&mut wanted, None))?;
        let ready = |index: usize| wanted.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ok((ready(0), ready(2), ready(1)))
    }

    /// The pipe of `execve` has news: the program runs, which is reported here, or why it does not.
    fn started(&mut self) -> Result<Option<Report>, Errno> {
        let Some(pipe) = self.starting.take() else { return Ok(None) };
        let mut failure = [0; child::FAILURE_LEN];
        if retry_on_intr(|| read(&pipe, &mut failure))? == 0 {
            control::report(Report::Started { pid: self.pid.as_raw_pid().cast_unsigned() })?;
            return Ok(None);
        }
        retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::empty()))?;
        let (stage, errno) = child::decode_failure(failure);
        Ok(Some(Report::Failed { stage, errno: errno.raw_os_error() }))
    }

    /// Reaps the new generation if it has ended.
    fn ended(&self) -> Result<Option<Report>, Errno> {
        let mut bytes = [0; 16];
        // Only a wake-up; an empty pipe (EAGAIN) says nothing.
        let _ = read(&self.deaths, &mut bytes);
        let Some((_, status)) = retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::NOHANG))? else {
            return Ok(None);
        };
        Ok(match status.terminating_signal() {
            Some(signal) => Some(Report::Signaled { signal }),
            None => status.exit_status().map(|code| Report::Exited { code }),
        })
    }
}
