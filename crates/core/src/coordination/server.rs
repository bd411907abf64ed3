//! Answers the coordination socket: many clients at once, none of which can hurt another. Clients that say nothing,
//! too much or nonsense are closed; those that were heard stay until they are answered, even after `stop`.

use super::{Answer, Ask, BACKLOG, Bound, Question, frame};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How many clients may be connected at once; beyond that the longest silent one makes room.
pub const MAX_CLIENTS: usize = 64;
/// How long a client may take to ask, or to take its answer.
pub const SILENCE: Duration = Duration::from_secs(5);
/// How long a client is not called silent: in a flood it may have connected, and asked, long before it is heard.
const FIRST_WORDS: Duration = Duration::from_millis(10);
/// How long to wait when the process is out of descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The acceptor. Dropping it stops accepting.
#[derive(Debug)]
pub struct Server {
    acceptor: JoinHandle<()>,
}

/// How many connected clients wait for an answer, or have yet to ask, also after the acceptor is gone: a process that
/// ends before they are answered leaves them without the outcome.
#[derive(Debug, Clone, Default)]
pub struct Unanswered(Arc<watch::Sender<usize>>);

impl Unanswered {
    /// Waits until nobody is left.
    pub async fn none(&self) {
        // Fails only without a sender, which `self` is.
        let _ = self.0.subscribe().wait_for(|&count| count == 0).await;
    }

    /// One more, until what is returned is dropped.
    pub(crate) fn one(&self) -> Waiter {
        self.0.send_modify(|count| *count += 1);
        Waiter(self.clone())
    }
}

/// Counts one client until it is dropped.
pub(crate) struct Waiter(Unanswered);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

impl Server {
    /// Begins to answer; needs a tokio runtime. From now on the kernel names this process as the one that listens.
    ///
    /// Its clients count in `unanswered`.
    ///
    /// # Errors
    /// Those of `dup`, `listen` and of the runtime.
    pub fn start(
        bound: &Bound,
        questions: mpsc::UnboundedSender<Question>,
        unanswered: &Unanswered,
    ) -> io::Result<Server> {
        let fd = bound.share()?;
        rustix::net::listen(&fd, BACKLOG)?;
        let listener = std::os::unix::net::UnixListener::from(fd);
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let acceptor = tokio::spawn(accept(listener, questions, unanswered.clone()));
        Ok(Server { acceptor })
    }

    /// Stops accepting; what waits in the kernel's queue is the next generation's. Connections already accepted go on:
    /// they are heard and answered.
    pub fn stop(self) {
        self.acceptor.abort();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// A connected client, as the acceptor sees it.
struct Client {
    task: JoinHandle<()>,
    /// It asked and has no answer yet: it never has to make room.
    waiting: Arc<AtomicBool>,
    since: Instant,
}

async fn accept(listener: UnixListener, questions: mpsc::UnboundedSender<Question>, unanswered: Unanswered) {
    // In the order of their arrival.
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                if !matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
                    sleep(EXHAUSTED).await;
                }
                continue;
            }
        };
        if !may_speak(&stream) || !make_room(&mut clients).await {
            continue;
        }
        let waiting = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(serve(stream, questions.clone(), waiting.clone(), unanswered.one()));
        clients.push(Client { task, waiting, since: Instant::now() });
    }
}

/// The same user as this process, or root.
fn may_speak(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

/// False: all that are connected wait for their answers.
async fn make_room(clients: &mut Vec<Client>) -> bool {
    loop {
        clients.retain(|client| !client.task.is_finished());
        if clients.len() < MAX_CLIENTS {
            return true;
        }
        let Some(index) = clients.iter().position(|client| !client.waiting.load(Ordering::Relaxed)) else {
            return false;
        };
        let due = clients[index].since + FIRST_WORDS;
        if due <= Instant::now() {
            // What it has said already is heard first: in a flood nobody else has had a turn.
            yield_now().await;
            if clients[index].waiting.load(Ordering::Relaxed) || clients[index].task.is_finished() {
                continue;
            }
            let Client { task, .. } = clients.remove(index);
            task.abort();
            // Only then is its descriptor closed: a queue full of clients would otherwise be accepted beside those that left.
            let _ = task.await;
            return true;
        }
        // Meanwhile it may turn out not to be silent.
        sleep_until(due).await;
    }
}

async fn serve(
    mut stream: UnixStream,
    questions: mpsc::UnboundedSender<Question>,
    waiting: Arc<AtomicBool>,
    waiter: Waiter,
) {
    let Some(ask) = hear(&mut stream).await else { return };
    waiting.store(true, Ordering::Relaxed);
    let (reply, answer) = oneshot::channel();
    if questions.send(Question { ask, reply }).is_err() {
        return;
    }
    let answer = tokio::select! {
        answer = answer => answer,
        () = gone(&stream) => return,
    };
    let Ok(answer) = answer else { return };
    let lasting = matches!(answer, Answer::Stopping(_));
    let Ok(body) = frame::encode_answer(answer) else { return };
    let written = timeout(SILENCE, frame::write(&mut stream, &body)).await;
    drop(waiter);
    if lasting && matches!(written, Ok(Ok(()))) {
        // Its end of file is how the client learns that this process ended: it makes room for nobody.
        gone(&stream).await;
    }
}

async fn hear(stream: &mut UnixStream) -> Option<Ask> {
    let body = timeout(SILENCE, frame::read(stream, frame::MAX_QUESTION)).await.ok()?.ok()?;
    frame::decode_ask(&body).ok()
}

/// Waits till the client has closed its end. One that only ended its writing side still wants its answer.
async fn gone(stream: &UnixStream) {
    let mut byte = [0];
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut byte) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
            Ok(0) if hung_up(stream) => return,
            // Half closed, or it says more than it may: no more is read of it.
            Ok(_) => std::future::pending().await,
        }
    }
}

fn hung_up(stream: &UnixStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let fd = stream.as_fd();
    let mut polled = [PollFd::new(&fd, PollFlags::empty())];
    poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn who_makes_room_has_gone_before_the_next_one_is_let_in() {
        let connected = Unanswered::default();
        let silent = || {
            let held = connected.one();
            let task = tokio::spawn(async move {
                let _held = held;
                std::future::pending().await
            });
            Client { task, waiting: Arc::default(), since: Instant::now() - FIRST_WORDS }
        };
        let mut clients: Vec<Client> = (0..MAX_CLIENTS).map(|_| silent()).collect();
        for _ in 0..MAX_CLIENTS {
            assert!(make_room(&mut clients).await);
            assert_eq!(*connected.0.borrow(), MAX_CLIENTS - 1);
            clients.push(silent());
        }
    }

    #[tokio::test]
    async fn what_the_longest_silent_one_has_said_is_heard_before_it_makes_room() {
        let (questions, mut heard) = mpsc::unbounded_channel();
        let mut peers = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..MAX_CLIENTS {
            let (stream, peer) = std::os::unix::net::UnixStream::pair().unwrap();
            stream.set_nonblocking(true).unwrap();
            peers.push(peer);
            let stream = UnixStream::from_std(stream).unwrap();
            let waiting = Arc::<AtomicBool>::default();
            let task = tokio::spawn(serve(stream, questions.clone(), waiting.clone(), Unanswered::default().one()));
            clients.push(Client { task, waiting, since: Instant::now() - FIRST_WORDS });
        }
        peers[0].write_all(b"\0\0\0\x14{\"Request\":\"Status\"}").unwrap();
        let first = clients[0].waiting.clone();
        assert!(tokio::spawn(async move { make_room(&mut clients).await }).await.unwrap());
        assert!(first.load(Ordering::Relaxed));
        assert_eq!(heard.try_recv().unwrap().ask, Ask::Status);
    }
}
