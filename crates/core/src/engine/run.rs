//! The engine's loop: waits for the next thing to happen and asks `restart` or `successor` what it means.

use super::attempt::{Attempt, Input};
use super::clients::Asker;
use super::post_mortem::hook_failure;
use super::running::Running;
use super::socket::WATCH;
use super::{Command, Event};
use crate::channel::Received;
use crate::coordination::{Answer, Ask, Question};
use crate::error::{Code, Failure};
use crate::message::Frame;
use crate::restart::{self, Peer, Reason, State};
use crate::spawn::Report;
use crate::successor;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// A blocked event loop may keep a status waiting no longer than this.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);

impl Running {
    pub(super) async fn turn(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        questions: &mut mpsc::UnboundedReceiver<Question>,
    ) {
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.deadline;
            let time = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let attempt = async {
                match &mut self.attempt {
                    Some(attempt) => attempt.next().await,
                    None => std::future::pending().await,
                }
            };
            let elder = async {
                match &mut self.elder {
                    Some(elder) => elder.incoming.receive().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // A client that was served by this process may ask for a restart at once: then what JavaScript has
                // said, SERVING above all, goes first.
                biased;
                command = commands.recv() => match command {
                    None | Some(Command::Quit) => return,
                    Some(command) => self.command(command),
                },
                Some(question) = questions.recv() => self.question(question),
                input = attempt => {
                    self.attempted(input);
                    self.notice_loss();
                }
                received = elder => self.elder(received),
                () = time => self.time_is_up(),
                _ = watch.tick() => self.watch_socket(),
            }
            self.show_progress();
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Ready => {
                if let Some(reader) = self.reader.take() {
                    reader.take_everything();
                }
                self.succeed(successor::Event::Ready);
            }
            Command::Serving => self.succeed(successor::Event::Serving),
            Command::Restart(id) => self.request(Asker::local(id)),
            Command::Launched { attempt, launched } => self.launched(attempt, *launched),
            Command::PrepareFailed { attempt, message } if attempt == self.attempts => {
                self.step(restart::Event::HookFailed(hook_failure(message, "preparing")))
            }
            Command::HandoverDone { attempt, failure: None } if attempt == self.attempts => {
                if let Some(attempt) = &mut self.attempt {
                    // Closing it is the end of the stream that the new generation reads.
                    attempt.handover = None;
                }
                self.step(restart::Event::HandedOver);
            }
            Command::HandoverDone { attempt, failure: Some(message) } => self.handover_failed(attempt, message),
            Command::HandoverFailed { attempt, message } => self.handover_failed(attempt, message),
            Command::ReadinessClosed { attempt } if attempt == self.attempts => self.never_ready(),
            Command::Released => self.yielded(),
            Command::Shutdown => self.shut_down(),
            Command::ShutdownDue => self.shut_down_if_asked(),
            Command::Drained(done) => self.drained(done),
            Command::Status(id, json) => self.reply_status(id, json),
            Command::Ended(undone) => self.ended(*undone),
            Command::Undone { attempt, late } => self.undone(attempt, late),
            Command::Notified { attempt, told } if attempt == self.attempts => {
                if let Err(error) = told {
                    self.warn(format!("the service manager could not be told of the new main process: {error}"));
                }
                self.step(restart::Event::Notified);
            }
            // What is late belongs to a restart that is over.
            Command::PrepareFailed { .. }
            | Command::HandoverDone { .. }
            | Command::ReadinessClosed { .. }
            | Command::Notified { .. } => {}
            Command::Report(report) => self.report(report),
            Command::Alive => self.tell_alive(),
            Command::Listening => self.store(),
            Command::Quit => {}
        }
    }

    fn question(&mut self, question: Question) {
        match question.ask {
            Ask::Restart => self.request(Asker::Client(question.reply)),
            Ask::Status => {
                self.last_status = self.last_status.wrapping_add(1);
                let id = self.last_status;
                self.statuses.insert(id, question.reply);
                (self.sink)(Event::Status { id });
                let commands = self.commands.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(STATUS_TIMEOUT).await;
                    let _ = commands.send(Command::Status(id, None));
                });
            }
            Ask::Stop => {
                let _ = question.reply.send(Answer::Stopping(std::process::id()));
                // Connected before the service was another's: it is the service that is to end, not only this generation.
                if self.draining == Some(Reason::Restart)
                    && let Some(attempt) = &mut self.attempt
                {
                    attempt.shut_down();
                }
                self.shut_down();
            }
        }
    }

    fn attempted(&mut self, input: Input) {
        match input {
            Input::Launcher(report) => self.reported(report),
            Input::Channel(Received::Frame(frame, _)) => self.heard(frame),
            Input::Channel(Received::Malformed(malformed)) => {
                let text = format!("the new generation does not speak our protocol: {malformed}");
                self.step(restart::Event::HookFailed(Failure::new(Code::HandoverFailed, text)));
            }
            // A launcher's report follows; without one `notice_loss` judges.
            Input::Channel(Received::End) => self.trace("the new generation has closed the channel".into()),
            Input::Ready(true) => {
                self.catch_up();
                if let Some(attempt) = &mut self.attempt {
                    let peer = attempt.peer();
                    if peer == Peer::Crate {
                        attempt.take_back();
                    }
                    self.trace(format!("the new generation is ready ({peer:?})"));
                    self.step(restart::Event::Ready(peer));
                }
            }
            Input::Ready(false) => self.readiness_closed(),
            Input::Room => (self.sink)(Event::HandoverRoom),
        }
    }

    fn reported(&mut self, report: Report) {
        self.trace(format!("launcher: {report:?}"));
        self.catch_up();
        let Some(attempt) = &self.attempt else { return };
        match &report {
            Report::Started { pid } => {
                self.name_next(Some(*pid));
                (self.sink)(Event::Restarting { pid: *pid });
            }
            // A process on its way out is alive to the launcher; to us its channel has ended already.
            Report::Released if attempt.has_closed() => self.died(&Report::Gone),
            Report::Released => self.step(restart::Event::Released),
            Report::Gone => self.step(restart::Event::LauncherGone),
            Report::Failed { stage, errno } => {
                let failure = attempt.not_started(stage, *errno);
                self.step(restart::Event::NewDied(failure));
            }
            // Without a launcher, or with one that does not tell: `notice_loss` judges.
            Report::Ended => {}
            Report::Exited { .. } | Report::Signaled { .. } => self.died(&report),
        }
    }

    pub(super) fn heard(&mut self, frame: Frame) {
        match frame {
            Frame::Hello(hello) => self.greeted(hello),
            Frame::Failing(text) => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.failing = Some(text);
                }
            }
            Frame::Claimed(name) => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.unclaimed.retain(|unclaimed| *unclaimed != name);
                }
            }
            Frame::Serving => self.step(restart::Event::Serving),
            // It serves already, and we have not quite let go.
            Frame::Shutdown
                if matches!(self.restart.state(), State::Releasing | State::Notifying | State::Yielding) =>
            {
                self.step(restart::Event::Shutdown)
            }
            _ => {}
        }
    }

    pub(super) fn catch_up(&mut self) {
        for frame in self.attempt.as_mut().map(Attempt::catch_up).unwrap_or_default() {
            self.heard(frame);
        }
    }
}
