//! What the service manager is told (sd_notify(3)), and by whom: only the generation that it takes for the main process.
//!
//! The old one names the new one (`MAINPID`) and is silent from then on; the new one speaks once it is adopted. What one of
//! two generations said out of turn would be dropped (`NotifyAccess=main`), or taken for the other's.

use super::act::STEP_TIMEOUT;
use super::attempt::Attempt;
use super::clients::Asker;
use super::running::Running;
use super::{Command, Engine};
use crate::error::Failure;
use crate::notify::{NEXT, Notifier};
use crate::pid_file::PidFile;
use crate::restart::{self, Reason, State};
use std::time::Duration;

/// Set to 1 by a unit of `Type=notify-reload`: no process can see the type of its unit.
const NOTIFY_RELOAD: &str = "SHELLFLIP_NOTIFY_RELOAD";
/// `systemctl status` shows one line.
const LONGEST_STATUS: usize = 500;

/// What JavaScript knows of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// `starting`, `ready` and so on.
    pub phase: String,
    /// Open connections.
    pub connections: u32,
    /// How long from now the present phase may take, whatever the unit's own limits; zero: not worth saying.
    pub extend: Duration,
}

/// The way to the service manager, and what it knows.
#[derive(Default)]
pub(crate) struct Manager {
    pub notifier: Notifier,
    /// The unit is of `Type=notify-reload`.
    reload: bool,
    /// It has asked for a reload that waits until the service is ours.
    asked: bool,
    report: Report,
    /// Why the last restart failed.
    failed: Option<String>,
    /// The STATUS that it has.
    status: String,
}

impl Manager {
    pub fn from_env() -> Manager {
        let reload = std::env::var_os(NOTIFY_RELOAD).is_some_and(|value| value == "1");
        Manager { notifier: Notifier::from_env(), reload, ..Manager::default() }
    }

    /// One line of status, if it says more than the last.
    fn news(&mut self, generation: u32) -> Option<String> {
        let status = self.describe(generation);
        (status != self.status).then(|| {
            self.status.clone_from(&status);
            format!("STATUS={status}")
        })
    }

    fn describe(&self, generation: u32) -> String {
        let Report { phase, connections, .. } = &self.report;
        let plural = if *connections == 1 { "" } else { "s" };
        let failed = match &self.failed {
            Some(why) => format!("; the last restart failed: {why}"),
            None => String::new(),
        };
        let text = format!("generation {generation}: {phase}, {connections} connection{plural}{failed}");
        text.replace(char::is_control, " ").chars().take(LONGEST_STATUS).collect()
    }
}

impl Engine {
    /// What the service does at present, for the service manager.
    pub fn report(&self, report: Report) {
        self.send(Command::Report(report));
    }

    /// The event loop turns: the service manager's watchdog may know.
    pub fn alive(&self) {
        self.send(Command::Alive);
    }
}

impl Running {
    /// Whether this generation is the main process, as the service manager knows it.
    pub(super) fn is_main(&self) -> bool {
        let ours = self.answers() || !self.successor.has_old();
        let given_away = matches!(self.restart.state(), State::Notifying | State::Yielding)
            || self.draining == Some(Reason::Restart);
        ours && !given_away
    }

    pub(super) fn report(&mut self, report: Report) {
        let extend = report.extend.as_micros();
        self.manager.report = report;
        if !self.is_main() || !self.manager.notifier.present() {
            return;
        }
        let mut lines: Vec<String> = self.manager.news(self.shared.generation).into_iter().collect();
        if extend > 0 {
            lines.push(format!("EXTEND_TIMEOUT_USEC={extend}"));
        }
        if !lines.is_empty() {
            self.tell(&lines.join("\n"));
        }
    }

    pub(super) fn tell_alive(&self) {
        if self.is_main() {
            self.tell("WATCHDOG=1");
        }
    }

    /// The service is ours. `announce`: nobody has said so yet.
    pub(super) fn tell_owning(&mut self, announce: bool) {
        self.manager.report.phase = "ready".into();
        let status = self.manager.news(self.shared.generation).unwrap_or_default();
        if !announce {
            return self.tell(&status);
        }
        if let Err(error) = self.manager.notifier.send(&format!("READY=1\n{status}")) {
            self.warn(format!("the service manager could not be told that the service is ready: {error}"));
        }
    }

    /// The new generation becomes the main process. From here on this one says nothing.
    pub(super) fn notify(&mut self) {
        let notifier = self.manager.notifier.clone();
        let Some(pid) = self.attempt.as_ref().and_then(Attempt::pid).filter(|_| notifier.present()) else {
            return self.step(restart::Event::Notified);
        };
        self.within(STEP_TIMEOUT);
        let (commands, attempt) = (self.commands.clone(), self.attempts);
        let mut state = format!("MAINPID={pid}\nREADY=1\nSTATUS=generation {}: ready", self.shared.generation + 1);
        if self.manager.reload {
            state.push_str("\nERRNO=0");
        }
        tokio::task::spawn_blocking(move || {
            let told = notifier.send(&state).and_then(|()| notifier.barrier(STEP_TIMEOUT));
            let _ = commands.send(Command::Notified { attempt, told });
        });
    }

    /// The new generation died when it was the main process already.
    pub(super) fn tell_taken_back(&mut self) {
        self.manager.status.clear();
        let status = self.manager.news(self.shared.generation).unwrap_or_default();
        self.tell(&format!("MAINPID={}\nREADY=1\n{status}", std::process::id()));
    }

    pub(super) fn name_next(&self, pid: Option<u32>) {
        let pid = pid.map(|pid| pid.to_string()).unwrap_or_default();
        // If it is not heard, a generation that loses its old one has nobody in front of it: no reason to stop a restart.
        self.tell(&format!("{NEXT}={pid}"));
    }

    /// A restart begins. A unit of `Type=notify-reload` waits for this, and then for READY.
    pub(super) fn tell_reloading(&mut self) {
        self.manager.failed = None;
        self.say_reloading();
        self.name_next(Some(0));
    }

    /// A restart asked for by a signal was refused. If it was a service manager's, it is answered by the READY at the end of
    /// the restart that is under way; without RELOADING from after its signal it would not take that for the answer.
    /// At any other time no READY may be said: one before the service is ready would mean that it is.
    pub(super) fn tell_refused(&self) {
        let under_way = !matches!(self.restart.state(), State::Starting | State::Serving | State::Draining);
        if under_way && self.is_main() {
            self.say_reloading();
        }
    }

    /// A service manager with `Type=notify-reload` knows us as the main process a moment before the service is ours, and the
    /// next reload in its queue comes at once: to us, who cannot restart yet, and nobody else. True: it waits.
    pub(super) fn waits_for_adoption(&mut self, asker: &Asker) -> bool {
        let waits = self.manager.reload && matches!(asker, Asker::Nobody);
        self.manager.asked |= waits;
        waits
    }

    /// The service is ours: what has waited for that.
    pub(super) fn reload_if_asked(&mut self) {
        if std::mem::take(&mut self.manager.asked) {
            self.request(Asker::Nobody);
        }
    }

    fn say_reloading(&self) {
        if !self.manager.reload {
            return;
        }
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// A restart has failed and this generation goes on, if it was not told to stop meanwhile.
    pub(super) fn tell_failed(&mut self, failure: &Failure) {
        self.manager.failed = failure.message.lines().next().map(str::to_owned);
        if !self.is_main() || self.draining.is_some() {
            return;
        }
        self.manager.report.phase = "ready".into();
        let status = self.manager.news(self.shared.generation).unwrap_or_default();
        if self.manager.reload {
            let canceled = rustix::io::Errno::CANCELED.raw_os_error();
            // Nothing else ends the reload; the unit then shows the error.
            self.tell(&format!("READY=1\n{status}\nERRNO={}", failure.errno.unwrap_or(canceled)));
        } else {
            self.tell(&status);
        }
    }

    pub(super) fn tell_stopping(&mut self) {
        self.tell("STOPPING=1");
    }

    /// Where it is not heard nothing is lost that is worth a warning: at the start, and when the main process changes, there
    /// is one.
    fn tell(&self, state: &str) {
        if !state.is_empty() {
            let _ = self.manager.notifier.send(state);
        }
    }

    /// Our pid, where whoever looks for the service finds it.
    pub(super) fn write_pid_file(&mut self) {
        let Some(path) = self.options.pid_file.clone() else { return };
        // Dropped afterwards, it would find our pid there, and remove it.
        self.pid_file.take().into_iter().for_each(PidFile::leave);
        match PidFile::write(path.clone()) {
            Ok(written) => self.pid_file = Some(written),
            Err(error) => self.warn(format!(
                "the pid file {} cannot be written: {error}; the service goes on without",
                path.display()
            )),
        }
    }
}

#[cfg(test)]
mod tests;
