//! One attempt at a restart: everything the old generation holds of the new one.
//!
//! Dropping it closes every descriptor that was made for it. A process that still lives must be [`Attempt::undo`]ne.

use super::Command;
use super::clients::Undone;
use super::ended::{Ended, summary};
use super::handover::Writer;
use super::launch::Launched;
use crate::channel::{self, Incoming, Outgoing, Received, send_now};
use crate::error::{Code, Failure};
use crate::message::{Frame, Hello};
use crate::restart::Peer;
use crate::spawn::{self, Report, Running};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::UnboundedSender;

/// The new generation, seen from the old one.
pub(crate) struct Attempt {
    pub launcher: Running,
    /// No report is to be expected of the launcher any more.
    pub launcher_gone: bool,
    pub generation: u32,
    launched: Instant,
    /// What was to be started, and where: for the error that says why it was not.
    program: (OsString, OsString),
    incoming: Incoming,
    pub outgoing: Outgoing,
    /// The channel's end itself, for the word that must not wait in a queue.
    end: Arc<OwnedFd>,
    /// The other side's end as well, until it has said hello: what lies in it unread would live as long as a process
    /// that does not know of it.
    theirs: Option<OwnedFd>,
    /// Nothing more comes by the channel.
    silent: bool,
    /// Because we have stopped listening, which says nothing of the other side.
    deaf: bool,
    readiness: Option<pipe::Receiver>,
    pub handover: Option<Writer>,
    /// The listeners that it has been given and has not claimed yet.
    pub unclaimed: Vec<String>,
    /// The last error that it reported of itself.
    pub failing: Option<String>,
    pub hello: Option<Hello>,
}

/// What comes from the new generation.
pub(crate) enum Input {
    Launcher(Report),
    Channel(Received),
    /// True: the ready byte. False: the pipe was closed without one.
    Ready(bool),
    /// The handover pipe, which was full, takes bytes again.
    Room,
}

impl Attempt {
    /// Greets the new generation and hands it the listeners.
    ///
    /// # Errors
    /// When the runtime cannot watch a descriptor. The new generation then hears ABORT, and ends.
    pub fn new(launched: Launched, generation: u32, hello: Hello) -> io::Result<Attempt> {
        let end = Arc::new(launched.channel);
        let watched = (|| {
            let (incoming, outgoing) = channel::open(Arc::clone(&end))?;
            let readiness = pipe::Receiver::from_owned_fd(launched.readiness)?;
            let handover = Writer::new(launched.handover)?;
            Ok((launched.launcher.into_async()?, incoming, outgoing, readiness, handover))
        })();
        let (launcher, incoming, outgoing, readiness, handover) = watched.inspect_err(|error: &io::Error| {
            send_now(end.as_fd(), &Frame::Abort(error.to_string()));
        })?;
        outgoing.send(Frame::Hello(hello));
        let unclaimed = launched.listeners.iter().map(|(offered, _)| offered.name.clone()).collect();
        for (offered, descriptor) in launched.listeners {
            outgoing.send_with(Frame::Listener(offered), descriptor);
        }
        outgoing.send(Frame::Given);
        Ok(Attempt {
            launcher,
            launcher_gone: false,
            generation,
            launched: Instant::now(),
            program: launched.program,
            incoming,
            outgoing,
            end,
            theirs: Some(launched.channel_new),
            silent: false,
            deaf: false,
            readiness: Some(readiness),
            handover: Some(handover),
            unclaimed,
            failing: None,
            hello: None,
        })
    }

    /// The next thing heard of it. Cancel-safe.
    pub async fn next(&mut self) -> Input {
        let readiness = async {
            match &mut self.readiness {
                Some(pipe) => pipe.read_u8().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        let incoming = async {
            match self.silent {
                false => self.incoming.receive().await,
                true => std::future::pending().await,
            }
        };
        let launcher = async {
            match self.launcher_gone && !self.launcher.watches() {
                false => self.launcher.next().await,
                true => std::future::pending().await,
            }
        };
        let room = async {
            match &self.handover {
                Some(writer) => writer.room().await,
                None => std::future::pending().await,
            }
        };
        let input = tokio::select! {
            received = incoming => Input::Channel(received),
            said = readiness => Input::Ready(said),
            report = launcher => Input::Launcher(report),
            () = room => Input::Room,
        };
        match &input {
            Input::Ready(_) => self.readiness = None,
            Input::Channel(Received::End | Received::Malformed(_)) => self.silent = true,
            Input::Launcher(report) => self.launcher_gone |= !matches!(report, Report::Started { .. }),
            _ => {}
        }
        input
    }

    /// Sends the word whose arrival counts. False: it hears nothing any more. One of the crate has no ears, and is spared.
    pub fn send_now(&self, frame: &Frame) -> bool {
        send_now(self.end.as_fd(), frame) || self.peer() == Peer::Crate
    }

    /// Whether it has ended, or speaks no more, and there is no launcher that would still say so.
    pub fn is_lost(&self) -> bool {
        self.launcher_gone && (self.launcher.has_ended() || self.has_closed())
    }

    /// Whether one of ours has closed its side of the channel: it has ended, or is about to.
    pub fn has_closed(&self) -> bool {
        self.peer() == Peer::Ours && self.silent && (!self.deaf || self.incoming.hung_up())
    }

    /// The launcher was told to let go and has not: it is ended instead, which leaves the new generation alone.
    pub fn end_launcher(&mut self) {
        self.launcher.end_launcher();
        self.launcher_gone = true;
    }

    /// Whatever it says from here on does not count, and it learns so; what it said before does.
    pub fn stop_listening(&mut self) -> Vec<Frame> {
        self.deaf = !self.silent;
        self.incoming.stop_listening();
        self.catch_up()
    }

    /// Everything that the channel already holds: the order of two descriptors is not the order of what was written.
    pub fn catch_up(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while !self.silent {
            match self.incoming.arrived() {
                Some(Received::Frame(frame, _)) => frames.push(frame),
                Some(_) => self.silent = true,
                None => break,
            }
        }
        frames
    }

    /// It has said hello. From here on it alone holds its end, and its death shows on ours.
    pub fn greeted(&mut self, hello: Hello) {
        self.hello = Some(hello);
        self.theirs = None;
    }

    /// It does not know of the channel: the listeners that lie in it are taken out again. They would stay open, and
    /// their clients without an answer, for as long as it runs.
    pub fn take_back(&mut self) {
        let Some(theirs) = self.theirs.take() else { return };
        channel::take_back(self.end.as_fd(), theirs);
    }

    /// What it turned out to be: it says hello before anything else, if it can.
    pub fn peer(&self) -> Peer {
        if self.hello.is_some() { Peer::Ours } else { Peer::Crate }
    }

    /// The service is to stop. A process of the crate hears nothing but signals. At once: this process may be about to end.
    pub fn shut_down(&mut self) {
        match self.peer() {
            Peer::Ours => _ = self.send_now(&Frame::Shutdown),
            Peer::Crate => self.launcher.terminate(),
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.launcher.pid()
    }

    /// What a terminal shows while it is awaited.
    pub fn phase(&self, handed_over: bool) -> &'static str {
        match (self.hello.is_some(), handed_over) {
            (false, _) => "starting",
            (true, false) => "handing over",
            (true, true) => "waiting for ready",
        }
    }

    /// The failure that a launcher which could not start it amounts to.
    pub fn not_started(&self, stage: &str, errno: i32) -> Failure {
        spawn::failed(stage, errno, &self.program.0, &self.program.1).during("starting")
    }

    /// The failure that its end amounts to. `when` is said in words, after "exited with code 1".
    pub fn died(&self, how: &Report, when: &str, phase: &str) -> Failure {
        let ended = Ended {
            generation: self.generation,
            how,
            when,
            reason: self.failing.as_deref(),
            greeted: self.hello.is_some(),
            after_ms: self.launched.elapsed().as_millis(),
        };
        let failure = ended.failure().during(phase);
        match self.pid() {
            Some(pid) => failure.of(pid),
            None => failure,
        }
    }

    /// The failure that it amounts to when it lives, but has closed the pipe by which it would say that it is ready.
    pub fn gave_up(&self, phase: &str) -> Failure {
        let who = format!("generation {}", self.generation);
        let after = self.launched.elapsed().as_millis();
        let text = match &self.failing {
            Some(reason) => format!("{who} gave up while starting: {} ({after} ms)", summary(reason)),
            None => format!(
                "{who} closed the pipe by which it would say that it is ready ({after} ms): does it close descriptors that it \
                 did not open, or become a daemon?"
            ),
        };
        let failure = Failure::new(Code::GenerationExited, text).during(phase);
        match self.pid() {
            Some(pid) => failure.of(pid),
            None => failure,
        }
    }

    /// Whether its process is dead already, as far as the kernel tells: then the launcher's report is on its way.
    pub fn dead(&self) -> bool {
        self.launcher.has_ended()
    }

    /// Ends whatever lives of it, waits until it has ended and every descriptor is closed, then says so: in that order,
    /// so that whoever hears of the failure finds nothing left behind.
    pub fn undo(self, done: Undone, commands: UnboundedSender<Command>) {
        let ended = self.end(&done.failure.message);
        tokio::spawn(async move {
            ended.await;
            let _ = commands.send(Command::Ended(Box::new(done)));
        });
    }

    /// Ends whatever lives of it. The word and the signal go out at once; the future waits for the end.
    pub fn end(mut self, why: &str) -> impl Future<Output = ()> + Send + 'static {
        send_now(self.end.as_fd(), &Frame::Abort(why.into()));
        self.handover = None;
        self.launcher.kill();
        async move {
            let reaped = async {
                while !self.launcher_gone || self.launcher.watches() {
                    let report = self.launcher.next().await;
                    // It may only now have a pid to be killed by.
                    self.launcher.kill();
                    self.launcher_gone |= !matches!(report, Report::Started { .. });
                }
            };
            // Only a process that the kernel itself holds (uninterruptible sleep) outlasts SIGKILL by so much.
            let _ = tokio::time::timeout(Duration::from_secs(5), reaped).await;
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
