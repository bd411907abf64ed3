//! The engine as JavaScript holds it. Every call returns at once; all news comes by the one callback, which does not
//! keep the event loop alive.

use crate::convert::{
    NativeAddress, NativeClaim, NativeDrainer, NativeFailure, NativeListenRequest, NativeListener, NativeProgress,
};
use crate::event::NativeEvent;
use crate::process::take_inheritance;
use napi::Status;
use napi::bindgen_prelude::{Buffer, Either, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use shellflip_core::Failure;
use shellflip_core::engine::{Engine as Core, Event, Launch, Options, Report};
use shellflip_core::listener::Claim;
use shellflip_core::message::{Handover, Versions};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

/// What a service asks of its engine.
#[napi(object)]
pub struct NativeEngineOptions {
    /// Where the coordination socket is to be; absent: there is none.
    pub socket: Option<String>,
    /// The path was asked for, not derived.
    pub socket_explicit: bool,
    /// How long a new generation may take. 0: for ever.
    pub ready_timeout_ms: u32,
    /// What this generation will hand over.
    #[napi(ts_type = "'value' | 'raw' | 'none'")]
    pub handover: String,
    /// There is a hook for restarts that fail: emit 'undo' events.
    pub undo_hook: bool,
    /// Keep the listeners in the service manager's descriptor store.
    pub fd_store: Option<bool>,
    /// Where the pid of the serving generation is to be written; absent: nowhere.
    pub pid_file: Option<String>,
    /// Emit 'trace' events.
    pub trace: Option<bool>,
    /// What of the channel is understood; absent: what this build does. Tests try a restart between two releases by it.
    pub versions: Option<NativeVersions>,
}

/// The versions of the channel that a release understands.
#[napi(object)]
pub struct NativeVersions {
    /// The one it speaks.
    pub newest: u32,
    /// The oldest.
    pub oldest: u32,
}

/// A listener's TLS ticket keys.
#[napi(object)]
pub struct NativeTickets {
    /// The listener's name.
    pub name: String,
    /// What `getTicketKeys()` returned.
    pub keys: Buffer,
}

/// The new generation that is to be started.
#[napi(object)]
pub struct NativeLaunch {
    /// The program.
    pub file: String,
    /// Its arguments, `argv[0]` first.
    pub args: Vec<String>,
    /// Its environment, as KEY=value.
    pub environment: Vec<String>,
    /// Where it starts.
    pub cwd: String,
    /// The ticket keys of our TLS listeners.
    pub tickets: Vec<NativeTickets>,
}

fn handover_of(name: &str) -> Handover {
    match name {
        "value" => Handover::Value,
        "raw" => Handover::Raw,
        _ => Handover::None,
    }
}

/// `asked` stands in for the address of a claim that failed.
fn claimed(claim: Result<Claim, Failure>, asked: NativeAddress) -> NativeClaim {
    match claim {
        Ok(claim) => NativeClaim {
            fd: claim.fd.into_raw_fd(),
            name: claim.name,
            address: (&claim.address).into(),
            inherited: claim.inherited,
            failure: None,
        },
        Err(failure) => {
            NativeClaim { fd: -1, name: String::new(), address: asked, inherited: false, failure: Some(failure.into()) }
        }
    }
}

type Callback = ThreadsafeFunction<NativeEvent, (), NativeEvent, Status, false, true>;

/// One per process that restarts. Collecting it, or ending the environment it lives in, ends its thread.
#[napi]
pub struct Engine {
    core: Core,
}

#[napi]
impl Engine {
    /// Starts the engine; the first event is 'started' or 'failed'. Throws if the system gives no thread.
    #[napi(constructor, ts_args_type = "options: NativeEngineOptions, onEvent: (event: NativeEvent) => void")]
    pub fn new(options: NativeEngineOptions, on_event: Function<'_, NativeEvent, ()>) -> napi::Result<Self> {
        let callback: Callback =
            on_event.build_threadsafe_function().callee_handled::<false>().weak::<true>().build()?;
        let options = Options {
            socket: options.socket.map(Into::into),
            socket_explicit: options.socket_explicit,
            ready_timeout: Some(options.ready_timeout_ms)
                .filter(|&ms| ms > 0)
                .map(|ms| Duration::from_millis(ms.into())),
            handover: handover_of(&options.handover),
            undo_hook: options.undo_hook,
            fd_store: options.fd_store.unwrap_or_default(),
            pid_file: options.pid_file.map(Into::into),
            trace: options.trace.unwrap_or_default(),
            versions: options
                .versions
                .map(|NativeVersions { newest, oldest }| Versions { newest, oldest })
                .unwrap_or_default(),
        };
        let sink = Arc::new(move |event: Event| {
            // An environment that is being torn down takes no more calls; then there is nobody to tell.
            let _ = callback.call(event.into(), ThreadsafeFunctionCallMode::NonBlocking);
        });
        let core = Core::start(options, take_inheritance(), sink)
            .map_err(|failure| napi::Error::from_reason(failure.message))?;
        Ok(Engine { core })
    }

    /// Binds, or claims what was inherited.
    #[napi]
    pub fn claim(&self, request: NativeListenRequest) -> NativeClaim {
        let address = request.address.clone();
        claimed(self.core.claim(&request.into_core()), address)
    }

    /// Another descriptor of a listener that was stopped at 'release', after 'resume'.
    #[napi]
    pub fn reclaim(&self, name: String) -> NativeClaim {
        let nowhere = NativeAddress { kind: "tcp".into(), host: None, port: None, path: None };
        claimed(self.core.reclaim(&name), nowhere)
    }

    /// The application closed that listener.
    #[napi]
    pub fn drop(&self, name: String) {
        self.core.drop_listener(&name);
    }

    /// What was inherited and not claimed yet.
    #[napi]
    pub fn unclaimed(&self) -> Vec<NativeListener> {
        self.core.unclaimed().into_iter().map(Into::into).collect()
    }

    /// What the application listens on.
    #[napi]
    pub fn listeners(&self) -> Vec<NativeListener> {
        self.core.listeners().into_iter().map(Into::into).collect()
    }

    /// The ticket keys that the old generation used on that listener.
    #[napi]
    pub fn ticket_keys(&self, name: String) -> Option<Buffer> {
        self.core.ticket_keys(&name).map(Buffer::from)
    }

    /// The application is ready: 'commit' follows when it may accept.
    #[napi]
    pub fn ready(&self) {
        self.core.ready();
    }

    /// Says SERVING. To be called in the turn in which the handles began to listen, after they did: no connection has
    /// been taken yet. False: the restart was called off, and this process must exit now.
    #[napi]
    pub fn serving(&self) -> bool {
        self.core.serving()
    }

    /// Asks for a restart; 'outcome' follows with that id. 0: nobody waits (a signal).
    #[napi]
    pub fn restart(&self, id: u32) {
        self.core.restart(id);
    }

    /// The answer to 'prepare': starts the launcher from this thread. What it returns has been reported already.
    #[napi]
    pub fn launch(&self, attempt: u32, spec: NativeLaunch) -> Option<NativeFailure> {
        let pair = |entry: String| {
            let (key, value) = entry.split_once('=').unwrap_or((&entry, ""));
            (key.into(), value.into())
        };
        let launch = Launch {
            file: spec.file.into(),
            args: spec.args.into_iter().map(Into::into).collect(),
            environment: spec.environment.into_iter().map(pair).collect(),
            cwd: spec.cwd.into(),
            tickets: spec.tickets.into_iter().map(|tickets| (tickets.name, tickets.keys.to_vec())).collect(),
        };
        self.core.launch(attempt, launch).err().map(Into::into)
    }

    /// The other answer to 'prepare'. A message that begins with `ERR_SHELLFLIP_X: ` keeps that code.
    #[napi]
    pub fn prepare_failed(&self, attempt: u32, message: String) {
        self.core.prepare_failed(attempt, message);
    }

    /// Writes to the handover pipe: how many of these bytes, at least one, it has taken. 0: it is full, and
    /// 'handoverRoom' follows.
    #[napi]
    pub fn handover_write(&self, bytes: &[u8]) -> Either<u32, NativeFailure> {
        match self.core.handover_write(bytes) {
            Ok(taken) => Either::A(taken as u32),
            Err(failure) => Either::B(failure.into()),
        }
    }

    /// The handover is complete, or failed with that message.
    #[napi]
    pub fn handover_done(&self, attempt: u32, failure: Option<String>) {
        self.core.handover_done(attempt, failure);
    }

    /// The answer to 'undo'.
    #[napi]
    pub fn undone(&self, attempt: u32) {
        self.core.undone(attempt);
    }

    /// The answer to 'release'.
    #[napi]
    pub fn released(&self) {
        self.core.released();
    }

    /// The service is to end; 'drain' follows when its time has come.
    #[napi]
    pub fn shutdown(&self) {
        self.core.shutdown();
    }

    /// What the service does at present, for the service manager's status. `extendMs`: how long from now this may take,
    /// whatever the manager's own limits; 0: not worth saying.
    #[napi]
    pub fn report(&self, phase: String, connections: u32, extend_ms: u32) {
        self.core.report(Report { phase, connections, extend: Duration::from_millis(extend_ms.into()) });
    }

    /// The event loop turns: said to the service manager's watchdog by the main process.
    #[napi]
    pub fn alive(&self) {
        self.core.alive();
    }

    /// The drain is over. If the service ends with this process, its socket files are gone when this returns.
    #[napi]
    pub fn drained(&self) {
        self.core.drained();
    }

    /// This generation is about to end of that error: the old one tells whoever asked for the restart.
    #[napi]
    pub fn failing(&self, message: String) {
        self.core.failing(&message);
    }

    /// The answer to 'status': what `shellflip status --json` prints.
    #[napi]
    pub fn reply_status(&self, id: u32, json: String) {
        self.core.reply_status(id, json);
    }

    /// The generations before this one that have not ended yet.
    #[napi]
    pub fn draining(&self) -> Vec<NativeDrainer> {
        let show = |drainer: shellflip_core::message::Drainer| NativeDrainer {
            pid: drainer.pid,
            generation: drainer.generation,
            since_ms: drainer.since_ms as f64,
        };
        self.core.draining().into_iter().map(show).collect()
    }

    /// What a restart in progress waits for; null when there is none.
    #[napi]
    pub fn progress(&self) -> Option<NativeProgress> {
        self.core.progress().map(|progress| NativeProgress {
            phase: progress.phase.into(),
            pid: progress.pid,
            since_ms: progress.since.elapsed().as_millis() as f64,
        })
    }
}
