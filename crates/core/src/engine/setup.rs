//! The engine's start: takes in what the old generation gives, gets hold of the coordination socket, begins to turn.

use super::manager::Manager;
use super::running::Running;
use super::store::Store;
use super::succession::{Drains, greet};
use super::{Command, Event, Old, Options, Shared, Sink, lock};
use crate::coordination::{self, Bound};
use crate::environment::Inheritance;
use crate::error::{Code, Failure};
use crate::message::Handover;
use crate::successor;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// All that the thread is started with.
pub(crate) struct Setup {
    pub options: Options,
    pub inheritance: Inheritance,
    pub sink: Sink,
    pub shared: Arc<Shared>,
    pub commands: mpsc::UnboundedSender<Command>,
    pub receiver: mpsc::UnboundedReceiver<Command>,
}

impl Setup {
    pub fn run(self) {
        let sink = Arc::clone(&self.sink);
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let failure = Failure::new(Code::SpawnFailed, format!("the restart engine cannot start: {error}"));
                return sink(Event::Failed { failure });
            }
        };
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(self.serve())));
        let failure = match ended {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(Failure::new(
                Code::Unsupported,
                "the restart engine broke (a bug): no restart is possible any more",
            )),
        };
        if let Some(failure) = failure {
            sink(Event::Failed { failure });
        }
        // A helper thread that tells the service manager may block; it must not hold up the process.
        runtime.shutdown_background();
    }

    async fn serve(self) -> Result<(), Failure> {
        let Setup { options, inheritance, sink, shared, commands, mut receiver } = self;
        let mut warnings = inheritance.warnings;
        if let Some(failure) = inheritance.broken {
            return Err(failure);
        }
        let reader = inheritance.handover;
        let mut elder = None;
        let mut hello = None;
        let old = match inheritance.channel {
            Some((_, end)) => {
                let end = Arc::new(end);
                lock(&shared.view).old = Old::Channel(Arc::clone(&end));
                let (greeted, said) = greet(&end, &shared).await?;
                elder = Some(greeted);
                hello = said;
                successor::Old::Ours
            }
            None if inheritance.readiness.is_some() => successor::Old::Crate,
            None => successor::Old::None,
        };
        let mut readiness = inheritance.readiness;
        if old == successor::Old::Crate
            && let Some(pipe) = readiness.take()
        {
            lock(&shared.view).old = Old::Byte(pipe);
        }
        let store = Store::new(options.fd_store, inheritance.listeners, &shared, &mut warnings);

        let known = hello.as_ref().and_then(|hello| hello.socket.clone()).map(Into::into);
        let (bound, stale) = socket(&options, inheritance.restart_socket, known, &mut warnings)?;
        lock(&shared.view).socket = share(bound.as_ref())?;
        for earlier in hello.iter().flat_map(|hello| hello.draining.iter().copied()) {
            Drains::list(earlier, &shared);
        }
        let handover = match (&hello, old) {
            (Some(hello), _) => hello.handover,
            (None, successor::Old::Crate) => Handover::Raw,
            (None, _) => Handover::None,
        };
        sink(Event::Started {
            socket: bound.as_ref().map(|bound| bound.path().to_owned()),
            warnings,
            handover,
            old_pid: hello.as_ref().map(|hello| hello.pid),
        });

        let (questioner, mut questions) = mpsc::unbounded_channel();
        let mut engine = Running {
            readiness,
            reader,
            elder,
            elder_hello: hello,
            bound,
            stale,
            manager: Manager::from_env(),
            store,
            ..Running::new(options, sink, shared, commands, questioner, old)
        };
        if old == successor::Old::None {
            engine.answer_clients();
        }
        engine.turn(&mut receiver, &mut questions).await;
        Ok(())
    }
}

/// The coordination socket of this generation, and one of the old generation that it will not use.
fn socket(
    options: &Options,
    inherited: Option<OwnedFd>,
    known: Option<PathBuf>,
    warnings: &mut Vec<String>,
) -> Result<(Option<Bound>, Option<Bound>), Failure> {
    let inherited = inherited.map(|fd| coordination::adopt(fd, known)).transpose()?;
    let Some(wanted) = &options.socket else { return Ok((None, inherited)) };
    match inherited {
        // A derived path is the old generation's to choose: the same service must not move because its script did.
        Some(inherited) if inherited.path() == wanted || !options.socket_explicit => Ok((Some(inherited), None)),
        stale => match coordination::bind(wanted) {
            Ok(bound) => Ok((Some(bound), stale)),
            Err(failure) if options.socket_explicit => Err(failure),
            Err(failure) => {
                warnings
                    .push(format!("no coordination socket, so that only a signal can restart this service: {failure}"));
                Ok((None, stale))
            }
        },
    }
}

fn share(bound: Option<&Bound>) -> Result<Option<OwnedFd>, Failure> {
    bound.map(Bound::share).transpose().map_err(|error| Failure::system("dup", &error))
}
