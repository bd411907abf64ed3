//! The loop: what generations say, how processes end, what signals come, and the clock.
//!
//! What was said counts before how somebody ended: a generation names its successor before it exits.

use super::above::Above;
use super::backoff::Backoff;
use super::begun::{Found, Search};
use super::command::{cannot_run, command};
use super::process::{self, Process};
use super::signals::{Signals, is_for_us_alone};
use super::socket::{MOST_MESSAGES, NotifySocket};
use super::sys::{self, Signal, Status};
use super::tree::Tree;
use super::words::Words;
use crate::args::{self, Policy};
use crate::output;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal as Sendable};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Where the kernel cannot tell of the end of a process that is no child.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub struct Supervisor {
    options: args::Run,
    socket: NotifySocket,
    signals: Signals,
    /// Sockets that we were given for the service; as long as it may be started again.
    passed: Vec<OwnedFd>,
    above: Above,
    tree: Tree,
    /// The main process has ended in the middle of a restart: what goes on is not known yet.
    search: Option<Search>,
    backoff: Backoff,
    /// When the newest first generation was started.
    started: Instant,
    /// When the service is to be started again.
    again: Option<Instant>,
    /// It was told to end.
    ending: bool,
    terms: u32,
    /// From when on every generation is killed that there is, or that is named.
    kill_at: Option<Instant>,
    /// It was said that one could not be killed.
    complained: bool,
}

impl Supervisor {
    pub fn new(options: args::Run, socket: NotifySocket, signals: Signals, passed: Vec<OwnedFd>) -> Self {
        Supervisor {
            backoff: Backoff::new(options.restart),
            options,
            socket,
            signals,
            passed,
            above: Above::from_env(),
            tree: Tree::default(),
            search: None,
            started: Instant::now(),
            again: None,
            ending: false,
            terms: 0,
            kill_at: None,
            complained: false,
        }
    }

    /// Until nothing is left to wait for; gives the exit code.
    pub fn run(mut self) -> u8 {
        let mut end = self.start();
        loop {
            // Read before anything is looked at, so that a child's death in between is noticed in the next turn; acted on
            // afterwards, so that signals reach whoever is main by then.
            let signals = self.signals.take();
            end = self.look_for_next().or(end);
            // What is said before it is known who is main would be lost.
            if self.search.is_none() {
                self.hear(None);
                end = self.reap().or(end);
            }
            signals.into_iter().for_each(|signal| self.take_signal(signal));
            self.look_at_clock();
            let over = self.tree.is_over() && self.search.is_none() && self.again.is_none();
            if let (Some(status), true) = (self.tree.last().or(end), over) {
                self.look_back(status);
                return status.code();
            }
            self.wait();
        }
    }

    /// Starts a first generation. If that fails, says so, and how it counts.
    fn start(&mut self) -> Option<Status> {
        self.again = None;
        self.started = Instant::now();
        let words = &self.options.command;
        let error = match command(words, self.socket.name(), self.options.socket.as_deref()).spawn() {
            Ok(child) => {
                // Reaped with all others: nobody waits for the Child itself.
                if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                    self.tree.started(Process::child(pid));
                }
                // Else one that the service closes would live on with us, unserved.
                if self.options.restart == Policy::Never {
                    self.passed.clear();
                }
                return None;
            }
            Err(error) => error,
        };
        let status = Status::Exited(cannot_run(words, &error));
        self.on_end(status);
        Some(status)
    }

    /// `reaped`: a child that has just ended. What was said of it meanwhile still counts.
    fn hear(&mut self, reaped: Option<Pid>) {
        for _ in 0..MOST_MESSAGES {
            let Some((datagram, text)) = self.socket.receive() else { return };
            let words = Words::read(&text, self.ending);
            let sender = Pid::from_raw(datagram.sender.max(0));
            if !sender.is_some_and(|sender| self.tree.believes(sender, words.main)) {
                continue;
            }
            if let Some(pid) = words.main {
                let ended = (reaped == Some(pid)).then(|| Process::child(pid));
                match ended.or_else(|| Process::descendant(pid)) {
                    Some(process) => {
                        self.tree.succeeded_by(process);
                        self.again = None;
                    }
                    // Such as a wrapper's idea of a pid in a namespace of its own. We would wait for a stranger.
                    None => self.say(&format!("MAINPID={pid} is no process of this service: ignored")),
                }
            }
            if let Some(next) = words.next {
                self.tree.begins(next.and_then(Process::descendant));
            }
            let descriptors: Vec<_> = datagram.descriptors.iter().filter(|_| words.stores).map(AsFd::as_fd).collect();
            self.above.tell(&words.above, &descriptors);
        }
    }

    /// How the service ended, if it did just now.
    fn reap(&mut self) -> Option<Status> {
        let mut end = None;
        while self.search.is_none() {
            let Some((pid, status)) = sys::reap().or_else(|| self.vanished()) else { break };
            end = self.ended(pid, status).or(end);
        }
        if let Some(status) = end {
            self.on_end(status);
        }
        end
    }

    /// How it did was another's to see, unless it was our doing.
    fn vanished(&self) -> Option<(Pid, Status)> {
        let status = if self.kills() { Status::Killed(9) } else { Status::Exited(1) };
        self.tree.vanished(Process::is_alive).map(|pid| (pid, status))
    }

    /// A process has ended. Gives how the service did with it, if nobody goes on.
    fn ended(&mut self, pid: Pid, status: Status) -> Option<Status> {
        self.hear(Some(pid));
        if !self.tree.ended(pid, status, Process::is_alive) {
            return None;
        }
        // Else what is below us may be a service of its own, which ours had started.
        if !self.tree.had_begun() {
            return Some(status);
        }
        self.search = Some(Search::after(status));
        None
    }

    /// Gives how the service ended, if it turns out that nobody goes on.
    fn look_for_next(&mut self) -> Option<Status> {
        let found = self.search.as_ref()?.look(|pid| self.tree.all().any(|known| known.pid() == pid));
        if let Found::Launcher = found {
            return None;
        }
        let search = self.search.take()?;
        let Found::Generation(process) = found else {
            self.on_end(search.ended);
            return Some(search.ended);
        };
        self.tree.started(process);
        search.signals.into_iter().for_each(|signal| self.forward(signal));
        None
    }

    fn on_end(&mut self, status: Status) {
        if self.ending {
            return;
        }
        let Some(pause) = self.backoff.after(status, self.started.elapsed()) else { return };
        let how = match status {
            Status::Exited(code) => format!("exited with code {code}"),
            Status::Killed(signal) => format!("was ended by signal {signal}"),
        };
        self.say(&format!("the service {how}; it is started again in {} ms", pause.as_millis()));
        self.again = Some(Instant::now() + pause);
    }

    /// A service that went into the background looks as one that has ended.
    fn look_back(&self, status: Status) {
        if status == Status::Exited(0) && !self.ending && process::children_left() {
            self.say("the service has ended, but what it started goes on without us: it must stay in the foreground");
        }
    }

    fn take_signal(&mut self, signal: Signal) {
        if signal.number == libc::SIGCHLD {
            return;
        }
        let now = Instant::now();
        if matches!(signal.number, libc::SIGTERM | libc::SIGINT) && !self.ending {
            self.ending = true;
            self.again = None;
            self.kill_at = self.options.kill_timeout.and_then(|timeout| now.checked_add(timeout));
        }
        if signal.number == libc::SIGTERM {
            self.terms += 1;
            if self.terms > 1 {
                self.kill_at = Some(now);
                return;
            }
        }
        if let (true, Some(sendable)) = (is_for_us_alone(signal), Sendable::from_named_raw(signal.number)) {
            match &mut self.search {
                Some(search) => search.signals.push(sendable),
                None => self.forward(sendable),
            }
        }
    }

    fn forward(&self, signal: Sendable) {
        if let Some(main) = self.tree.main()
            && let Err(error) = main.send(signal)
        {
            self.say(&format!("signal {} could not be sent to {}: {error}", signal.as_raw(), main.pid()));
        }
    }

    fn look_at_clock(&mut self) {
        let now = Instant::now();
        if self.again.is_some_and(|at| at <= now) {
            self.start();
        }
        if self.kills() {
            self.kill();
        }
    }

    fn kills(&self) -> bool {
        self.kill_at.is_some_and(|at| at <= Instant::now())
    }

    /// Every generation, whatever it is about. In each turn: one may still have been named by another that died of it.
    fn kill(&mut self) {
        for process in self.tree.all() {
            if let Err(error) = process.send(Sendable::KILL)
                && !self.complained
            {
                self.complained = true;
                self.say(&format!("{} could not be killed: {error}", process.pid()));
            }
        }
    }

    fn wait(&self) {
        let now = Instant::now();
        // What is killed is not waited for by the clock.
        let kill_at = self.kill_at.filter(|&at| at > now);
        let unwatched = self.tree.all().any(Process::is_unwatchable).then(|| now + LOOK_EVERY);
        let next =
            [self.again, kill_at, unwatched, self.search.as_ref().map(Search::again)].into_iter().flatten().min();
        let left = next.map(|at| at.saturating_duration_since(now).max(Duration::from_millis(1)));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if self.search.is_none() {
            fds.push(PollFd::new(&self.socket, PollFlags::IN));
            fds.extend(self.tree.all().filter_map(Process::watch).map(|handle| PollFd::new(handle, PollFlags::IN)));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // Nothing of ours can cause it; do not turn in a busy loop if something does.
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }

    fn say(&self, text: &str) {
        output::aside(&format!("shellflip run: {text}"));
    }
}
