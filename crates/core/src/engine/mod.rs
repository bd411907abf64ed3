//! The engine: one thread that carries out what `restart` and `successor` decide.
//!
//! JavaScript drives it by [`Engine`]'s methods, none of which waits, and hears of everything by one sink of
//! [`Event`]s. The thread owns every descriptor and every clock of a restart; a blocked event loop therefore keeps no
//! client of the coordination socket waiting.

mod act;
mod attempt;
mod clients;
mod command;
mod ended;
mod ending;
mod event;
mod handover;
mod judge;
mod launch;
mod listening;
mod manager;
mod post_mortem;
mod rollback;
mod run;
mod running;
mod setup;
mod socket;
mod store;
mod succession;

pub(crate) use command::Command;
pub use event::{Event, Sink};
pub use launch::Launch;
pub use manager::Report;

use crate::channel::send_now;
use crate::environment::Inheritance;
use crate::error::{Code, Failure};
use crate::listener::Registry;
use crate::message::{Drainer, Frame, Handover, Versions};
use crate::spawn::Image;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a service asks of its engine.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the coordination socket is to be; `None`: there is none.
    pub socket: Option<PathBuf>,
    /// The path was asked for, not derived: if it is in use, that is an error.
    pub socket_explicit: bool,
    /// How long a new generation may take, hooks included; `None`: for ever.
    pub ready_timeout: Option<Duration>,
    /// What our own handover will be.
    pub handover: Handover,
    /// There is a hook for restarts that fail: emit [`Event::Undo`].
    pub undo_hook: bool,
    /// Emit [`Event::Trace`].
    pub trace: bool,
    /// Keep the listeners in the service manager's descriptor store.
    pub fd_store: bool,
    /// Where the pid of the serving generation is to be written.
    pub pid_file: Option<PathBuf>,
    /// What of the channel is understood. Another than this build's: to try a restart between two releases.
    pub versions: Versions,
}

/// What a restart in progress is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// In words for a terminal ("starting", "waiting for ready").
    pub phase: &'static str,
    /// The new generation's process, once it exists.
    pub pid: Option<u32>,
    /// When the request came.
    pub since: Instant,
}

/// What both threads look at. No lock is held across a wait.
pub(crate) struct Shared {
    pub registry: Mutex<Registry>,
    pub tickets: Mutex<HashMap<String, Vec<u8>>>,
    pub view: Mutex<View>,
    pub image: Mutex<Option<Image>>,
    pub generation: u32,
    pub versions: Versions,
}

impl Shared {
    pub fn new(generation: u32, versions: Versions) -> Shared {
        Shared {
            registry: Mutex::default(),
            tickets: Mutex::default(),
            view: Mutex::default(),
            image: Mutex::default(),
            generation,
            versions,
        }
    }
}

/// What is shown of the engine's state.
#[derive(Default)]
pub(crate) struct View {
    /// The attempt whose launch is awaited.
    pub preparing: Option<u32>,
    pub progress: Option<Progress>,
    /// Our end of the channel to the old generation, or its readiness pipe, for SERVING.
    pub old: Old,
    pub drainers: Vec<succession::Drains>,
    /// Of the present attempt, or the last one's, which takes nothing any more.
    pub handover: Option<Arc<handover::End>>,
    /// What a launch needs besides what JavaScript knows.
    pub socket: Option<OwnedFd>,
}

/// To whom SERVING is to be said.
#[derive(Default)]
pub(crate) enum Old {
    #[default]
    Nobody,
    Channel(Arc<OwnedFd>),
    Byte(OwnedFd),
}

/// Takes a lock whose data is whole even if a holder panicked: nothing under it is left half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The service's engine. Dropping it ends its thread, and the service's ability to restart.
pub struct Engine {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

impl Engine {
    /// Starts the thread. Its first event is [`Event::Started`] or [`Event::Failed`].
    pub fn start(options: Options, inheritance: Inheritance, sink: Sink) -> Result<Engine, Failure> {
        let shared = Arc::new(Shared::new(inheritance.generation, options.versions));
        let (commands, receiver) = mpsc::unbounded_channel();
        let running = setup::Setup {
            options,
            inheritance,
            sink,
            shared: Arc::clone(&shared),
            commands: commands.clone(),
            receiver,
        };
        std::thread::Builder::new()
            .name("shellflip".into())
            .spawn(move || running.run())
            .map_err(|error| Failure::new(Code::SpawnFailed, format!("no thread for the restart engine: {error}")))?;
        Ok(Engine { commands, shared })
    }

    /// The application is ready: [`Event::Commit`] follows when it may accept.
    pub fn ready(&self) {
        self.send(Command::Ready);
    }

    /// We are about to accept: no connection has been taken yet, and none will be before this returns. False: the old
    /// generation has called the restart off and this process must end without accepting.
    pub fn serving(&self) -> bool {
        let old = std::mem::take(&mut lock(&self.shared.view).old);
        let heard = match &old {
            Old::Nobody => true,
            Old::Channel(end) => send_now(end.as_fd(), &Frame::Serving) || has_ended(end),
            // A Rust old generation that died meanwhile cannot hear; then the service is ours anyway.
            Old::Byte(pipe) => {
                let _ = rustix::io::write(pipe, b"1");
                true
            }
        };
        if heard {
            self.send(Command::Serving);
        }
        heard
    }

    /// Asks for a restart; [`Event::Outcome`] follows with that id. 0: nobody waits (a signal).
    pub fn restart(&self, id: u32) {
        self.send(Command::Restart(id));
    }

    /// The answer to [`Event::Prepare`]: starts the launcher, on the calling thread, whose niceness, affinity and
    /// capabilities the new generation inherits.
    pub fn launch(&self, attempt: u32, launch: Launch) -> Result<(), Failure> {
        if lock(&self.shared.view).preparing.take_if(|awaited| *awaited == attempt).is_none() {
            return Err(Failure::new(Code::SpawnFailed, "the restart is over already; nothing was started"));
        }
        match launch::launch(&self.shared, launch) {
            Ok(launched) => {
                self.send(Command::Launched { attempt, launched: Box::new(launched) });
                Ok(())
            }
            Err(failure) => {
                self.prepare_failed(attempt, failure.wire());
                Err(failure)
            }
        }
    }

    /// The other answer to [`Event::Prepare`]. A text that begins with one of our codes keeps it.
    pub fn prepare_failed(&self, attempt: u32, message: String) {
        self.send(Command::PrepareFailed { attempt, message });
    }

    /// Writes to the handover pipe: how many of these bytes, at least one, it has taken. 0: it is full, and
    /// [`Event::HandoverRoom`] follows.
    ///
    /// # Errors
    /// HANDOVER_FAILED: the new generation does not read any more, or the restart has been called off.
    pub fn handover_write(&self, bytes: &[u8]) -> Result<usize, Failure> {
        let end = lock(&self.shared.view).handover.clone();
        end.ok_or_else(handover::called_off)?.write(bytes)
    }

    /// The handover is complete, or has failed.
    pub fn handover_done(&self, attempt: u32, failure: Option<String>) {
        self.send(Command::HandoverDone { attempt, failure });
    }

    /// The answer to [`Event::Undo`].
    pub fn undone(&self, attempt: u32) {
        self.send(Command::Undone { attempt, late: false });
    }

    /// The answer to [`Event::Release`].
    pub fn released(&self) {
        self.send(Command::Released);
    }

    /// The service is to end; [`Event::Drain`] follows when its time has come.
    pub fn shutdown(&self) {
        self.send(Command::Shutdown);
    }

    /// The drain is over: socket files are unlinked, if the service ends with this process, before this returns.
    pub fn drained(&self) {
        let (done, wait) = std::sync::mpsc::channel();
        self.send(Command::Drained(done));
        // The process may exit in this very turn; unlinking takes microseconds.
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }

    /// This generation is about to end of that error: the old one tells whoever asked for the restart.
    pub fn failing(&self, message: &str) {
        if let Old::Channel(end) = &lock(&self.shared.view).old {
            send_now(end.as_fd(), &Frame::Failing(message.into()));
        }
    }

    /// The answer to [`Event::Status`].
    pub fn reply_status(&self, id: u32, json: String) {
        self.send(Command::Status(id, Some(json)));
    }

    /// The generations before this one that still drain.
    pub fn draining(&self) -> Vec<Drainer> {
        let mut view = lock(&self.shared.view);
        view.drainers.retain(|drains| drains.alive());
        view.drainers.iter().map(succession::Drains::show).collect()
    }

    /// What a restart in progress waits for.
    pub fn progress(&self) -> Option<Progress> {
        lock(&self.shared.view).progress
    }

    fn send(&self, command: Command) {
        // The receiver ends only with the process or with this handle.
        let _ = self.commands.send(command);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.send(Command::Quit);
    }
}

/// Whether the other side is gone for good, as against: has stopped listening to us.
fn has_ended(end: &Arc<OwnedFd>) -> bool {
    let mut byte = [0u8; 1];
    let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
    match rustix::net::recv(&**end, &mut byte, flags) {
        Ok((read, _)) => read == 0,
        Err(error) => error == rustix::io::Errno::CONNRESET,
    }
}
