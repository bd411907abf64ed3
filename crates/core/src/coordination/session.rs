//! The asking side for a thread without a runtime, which is what a JavaScript thread is: it blocks until the answer is
//! there, or it is called back. The crate's `RestartCoordinationSocket` and `request_restart_sync`, with deadlines.

use super::{Answer, Ask, Client};
use crate::{Code, Failure};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Hears once whether the connection stands.
pub type Connected = Box<dyn FnOnce(Result<(), Failure>) + Send>;
/// Hears once how the restart went: the new generation's pid.
pub type Restarted = Box<dyn FnOnce(Result<u32, Failure>) + Send>;

/// A connection that carries one restart command. Dropping it hangs up: callbacks that have not been called yet never
/// are, and the service goes on with what it was asked.
pub struct Session {
    command: Option<oneshot::Sender<Command>>,
    /// Dropped with the session, which is how its thread learns of it.
    _open: oneshot::Sender<()>,
}

struct Command {
    within: Duration,
    restarted: Restarted,
}

impl Session {
    /// Connects to the service at `path` on a thread of its own, which ends with the session or with the answer.
    /// `connected` is called from there.
    ///
    /// # Errors
    /// The system's, if it gives no thread. What [`Client::connect`] says goes to `connected`.
    pub fn open(path: PathBuf, connected: Connected) -> Result<Session, Failure> {
        let runtime = runtime()?;
        let (open, hung_up) = oneshot::channel();
        let (command, commanded) = oneshot::channel();
        let talk = async move {
            tokio::select! {
                () = talk(path, connected, commanded) => {}
                _ = hung_up => {}
            }
        };
        std::thread::Builder::new()
            .name("shellflip-client".into())
            .spawn(move || runtime.block_on(talk))
            .map_err(|error| no_thread(&error))?;
        Ok(Session { command: Some(command), _open: open })
    }

    /// Asks for a restart and waits for its outcome at most that long; `restarted` is called from the session's thread.
    /// A second call is answered at once, with `INVALID_ARG`, since a connection carries one command.
    pub fn restart(&mut self, within: Duration, restarted: Restarted) {
        let command = Command { within, restarted };
        let unsent = match self.command.take() {
            Some(sender) => sender.send(command).err(),
            None => Some(command),
        };
        if let Some(Command { restarted, .. }) = unsent {
            let text = "this connection has carried its restart command, or could not be made: connect again";
            restarted(Err(Failure::new(Code::InvalidArg, text)));
        }
    }
}

/// Connects, asks for a restart and blocks the calling thread until its outcome is known, or `within` is over.
///
/// # Errors
/// Those of [`Client::connect`] and [`Client::ask`]; the service's own failure; `INVALID_ARG` if this very process
/// answers there, since it could not do so while it is blocked.
pub fn restart_blocking(path: &Path, within: Duration) -> Result<u32, Failure> {
    runtime()?.block_on(async {
        let mut client = Client::connect(path).await?;
        if client.pid() == Some(std::process::id()) {
            let text = format!(
                "this process itself answers the coordination socket {}, and cannot while it waits: ask without blocking",
                path.display()
            );
            return Err(Failure::new(Code::InvalidArg, text));
        }
        restart(&mut client, within).await
    })
}

async fn talk(path: PathBuf, connected: Connected, commanded: oneshot::Receiver<Command>) {
    let mut client = match Client::connect(&path).await {
        Ok(client) => client,
        Err(failure) => return connected(Err(failure)),
    };
    connected(Ok(()));
    if let Ok(Command { within, restarted }) = commanded.await {
        restarted(restart(&mut client, within).await);
    }
}

async fn restart(client: &mut Client, within: Duration) -> Result<u32, Failure> {
    match client.ask(Ask::Restart, within).await? {
        Answer::Complete(pid) => Ok(pid),
        Answer::Failed(failure) => Err(failure),
        Answer::Status(_) | Answer::Stopping(_) => {
            let error = io::Error::from(io::ErrorKind::InvalidData);
            Err(Failure { message: "the service answered another question".into(), ..Failure::system("read", &error) })
        }
    }
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(|error| no_thread(&error))
}

fn no_thread(error: &io::Error) -> Failure {
    let message = format!("the service cannot be asked, since the system gives no thread or descriptor: {error}");
    Failure { message, ..Failure::system("clone", error) }
}
