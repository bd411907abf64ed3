//! The asking side. A restart is asked for through the crate's own client; every wait has a deadline. Giving up cancels
//! nothing: the service goes on with what it was asked.

use super::{Answer, Ask, frame};
use crate::{Code, Failure};
use rustix::io::Errno;
use shellflip::restart_coordination_socket::RestartCoordinationSocket;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

/// How long a service may leave a connection waiting in its queue.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a question is asked that could not even be sent: a service in a flood of clients closes those that are silent,
/// as we are until the system lets us speak.
const TRIES: usize = 5;

/// A connection to a service: good for one question.
#[derive(Debug)]
pub struct Client {
    stream: Option<UnixStream>,
    path: PathBuf,
    pid: Option<u32>,
}

impl Client {
    /// Connects to the service at `path`.
    ///
    /// # Errors
    /// `NO_SERVICE` if nobody listens there; else the system's.
    pub async fn connect(path: &Path) -> Result<Client, Failure> {
        super::path::checked(path)?;
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        loop {
            match UnixStream::connect(path).await {
                Ok(stream) => {
                    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
                    let pid = pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid != 0);
                    return Ok(Client { stream: Some(stream), path: path.to_owned(), pid });
                }
                // The service's queue is full.
                Err(e) if is(&e, Errno::AGAIN) && Instant::now() < deadline => sleep(Duration::from_millis(20)).await,
                Err(e) => return Err(refused(path, e)),
            }
        }
    }

    /// The process that answers the socket, where the kernel tells: the one that last began to.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Asks, and waits for the answer at most that long.
    ///
    /// # Errors
    /// Without a code: errno `ETIMEDOUT` if no answer came in time, `ECONNRESET` if the service closed the connection
    /// instead (as a Rust service does for all but `Restart`). In both cases it may still do what it was asked.
    pub async fn ask(&mut self, ask: Ask, within: Duration) -> Result<Answer, Failure> {
        match timeout(within, self.asked(ask)).await {
            Ok(answer) => answer,
            Err(_) => {
                let seconds = within.as_secs_f64();
                let path = self.path.display();
                let text = format!(
                    "the service at {path} gave no answer within {seconds} s; what it was asked is not cancelled: see \
                     `shellflip status`"
                );
                Err(Failure { message: text, ..Failure::system("read", &Errno::TIMEDOUT.into()) })
            }
        }
    }

    /// After `Stopping`: waits till the process that answered has closed the connection, that is, has ended.
    pub async fn closed(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let mut rest = [0; 64];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    }

    async fn asked(&mut self, ask: Ask) -> Result<Answer, Failure> {
        let mut tried = 0;
        loop {
            tried += 1;
            let answer = match ask {
                Ask::Restart => self.restart().await,
                Ask::Status | Ask::Stop => self.ours(ask).await,
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Mute::Unheard(_)) if tried < TRIES => *self = Client::connect(&self.path).await?,
                Err(Mute::Unheard(why) | Mute::Unanswered(why)) => return Err(self.unanswered(&why)),
            }
        }
    }

    async fn restart(&mut self) -> Result<Answer, Mute> {
        let stream = self.stream.take().ok_or_else(Mute::used)?;
        let mut socket = RestartCoordinationSocket::new(stream);
        socket.send_message(frame::try_restart()).await.map_err(|e| Mute::Unheard(e.to_string()))?;
        let message = socket.receive_message().await.map_err(|e| Mute::Unanswered(e.to_string()))?;
        frame::crate_answer(message).map_err(|e| Mute::Unanswered(e.to_string()))
    }

    async fn ours(&mut self, ask: Ask) -> Result<Answer, Mute> {
        let stream = self.stream.as_mut().ok_or_else(Mute::used)?;
        let question = frame::encode_ask(ask).map_err(|e| Mute::Unanswered(e.to_string()))?;
        frame::write(stream, &question).await.map_err(|e| Mute::Unheard(e.to_string()))?;
        let answer = frame::read(stream, frame::MAX_ANSWER).await.and_then(|body| frame::decode_answer(&body));
        answer.map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Mute::Unanswered("connection closed while awaiting a message".into()),
            _ => Mute::Unanswered(e.to_string()),
        })
    }

    fn unanswered(&self, why: &str) -> Failure {
        let text = format!("the service at {} did not answer: {why}", self.path.display());
        Failure { message: text, pid: self.pid, ..Failure::system("read", &Errno::CONNRESET.into()) }
    }
}

/// Why there is no answer.
enum Mute {
    /// The question could not be sent whole: nobody has heard it.
    Unheard(String),
    /// It may have been heard, and may be done.
    Unanswered(String),
}

impl Mute {
    fn used() -> Mute {
        Mute::Unanswered("this connection was used already".into())
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn refused(path: &Path, error: io::Error) -> Failure {
    let path = path.display();
    if is(&error, Errno::NOENT) || is(&error, Errno::CONNREFUSED) {
        let what = if is(&error, Errno::NOENT) { "there is no socket" } else { "nobody answers the socket" };
        return Failure::new(Code::NoService, format!("no service at {path}: {what}; is it running?"));
    }
    let hint = if is(&error, Errno::ACCESS) || is(&error, Errno::PERM) {
        "run this as the service's own user"
    } else if is(&error, Errno::AGAIN) {
        "it accepts no connections: it may be stopped or hang"
    } else {
        "check the path"
    };
    let message = format!("the service at {path} cannot be reached ({error}): {hint}");
    Failure { message, ..Failure::system("connect", &error) }
}
