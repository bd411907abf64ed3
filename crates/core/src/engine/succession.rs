//! What the new generation holds of the one that started it: the channel, the readiness pipe, and the list of those
//! that still drain.

use super::running::Running;
use super::{Event, Shared, lock};
use crate::channel::{self, Incoming, Received, send_now};
use crate::error::{Code, Failure};
use crate::listener::Listener;
use crate::message::{Drainer, Frame, Hello, LETS_GO};
use crate::{restart, successor};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The old generation sends all of it right after the launch; only one that hangs needs this long.
const GREETING_TIMEOUT: Duration = Duration::from_secs(30);

/// The channel to the old generation.
pub(crate) struct Elder {
    pub incoming: Incoming,
    /// It says when it has let go.
    pub lets_go: bool,
    end: Arc<OwnedFd>,
}

impl Elder {
    /// The service ends with us: it is not to be taken back.
    pub fn shut_down(&self) {
        send_now(self.end.as_fd(), &Frame::Shutdown);
    }
}

/// Says hello and takes in what the old generation gives: its hello, its listeners. `None` for its hello if it died
/// before it said so; what it had given by then is kept.
pub(crate) async fn greet(end: &Arc<OwnedFd>, shared: &Shared) -> Result<(Elder, Option<Hello>), Failure> {
    let broken = |what: String| {
        let advice = "the old generation goes on; if it persists, stop and start the service";
        Failure::new(Code::Inheritance, format!("{what}; {advice}"))
    };
    // All that is ever said to it is short and must not wait in a queue, least of all if this generation ends now.
    let (incoming, _) = channel::open(Arc::clone(end)).map_err(|error| broken(format!("channel: {error}")))?;
    let hello = Frame::Hello(Hello {
        version: shared.versions.newest,
        min: shared.versions.oldest,
        features: vec![],
        pid: std::process::id(),
        generation: shared.generation,
        handover: Default::default(),
        socket: None,
        draining: vec![],
    });
    send_now(end.as_fd(), &hello);
    let mut elder = Elder { incoming, lets_go: false, end: Arc::clone(end) };
    let taken = tokio::time::timeout(GREETING_TIMEOUT, take(&mut elder.incoming, shared)).await;
    let hello = taken.map_err(|_| broken("the old generation hands nothing over".into()))?.map_err(broken)?;
    elder.lets_go = hello.as_ref().is_some_and(|hello| hello.features.iter().any(|feature| feature == LETS_GO));
    Ok((elder, hello))
}

async fn take(incoming: &mut Incoming, shared: &Shared) -> Result<Option<Hello>, String> {
    let mut hello = None;
    loop {
        match incoming.receive().await {
            Received::Frame(Frame::Hello(said), _) => {
                let (theirs, ours) = (said.versions(), shared.versions);
                if !theirs.meet(ours) {
                    return Err(format!("the old generation understands {theirs} of the channel, this one {ours}"));
                }
                hello = Some(said);
            }
            Received::Frame(Frame::Listener(offered), descriptors) => {
                let Some(descriptor) = descriptors.into_iter().next() else {
                    return Err(format!("the listener '{}' came without its descriptor", offered.name));
                };
                let listener = Listener::verified(offered.name, &offered.address, descriptor, offered.source)
                    .map_err(|failure| failure.message)?
                    .with_file(offered.file);
                if let Some(keys) = offered.tickets {
                    lock(&shared.tickets).insert(listener.name.clone(), keys);
                }
                lock(&shared.registry).inherit(listener);
            }
            Received::Frame(Frame::Given, _) => return Ok(hello),
            Received::Frame(Frame::Abort(why), _) => return Err(format!("the restart was called off: {why}")),
            Received::Frame(..) => {}
            Received::End => return Ok(hello),
            Received::Malformed(malformed) => return Err(malformed.to_string()),
        }
    }
}

impl Running {
    pub(super) fn elder(&mut self, received: Received) {
        match received {
            Received::Frame(Frame::Commit, _) => self.succeed(successor::Event::Commit),
            Received::Frame(Frame::Adopted, _) => {
                let silent = self.elder.as_ref().is_some_and(|elder| !elder.lets_go);
                self.succeed(successor::Event::Adopted);
                if silent {
                    self.succeed(successor::Event::LetGo);
                }
            }
            Received::Frame(Frame::LetGo, _) => self.succeed(successor::Event::LetGo),
            Received::Frame(Frame::Abort(why), _) => self.succeed(successor::Event::Abort(why)),
            Received::Frame(Frame::Shutdown, _) => self.step(restart::Event::Shutdown),
            Received::Frame(..) => {}
            // It lives, and goes on: nobody may begin to serve beside it.
            Received::Malformed(malformed) => {
                let why = format!("the old generation does not speak our protocol: {malformed}");
                self.warn(why.clone());
                self.succeed(successor::Event::Abort(why));
                self.old_gone();
            }
            Received::End => self.old_gone(),
        }
    }

    /// What the old generation has said by now.
    pub(super) fn catch_up_with_elder(&mut self) {
        while let Some(received) = self.elder.as_mut().and_then(|elder| elder.incoming.arrived()) {
            self.elder(received);
        }
    }

    fn old_gone(&mut self) {
        self.elder = None;
        self.trace("the old generation has ended".into());
        self.succeed(successor::Event::OldGone);
        // Nobody else is left to say that the service is not ready yet. Once it is ours that is settled, and may be over: the
        // next generation's clients must not be answered by one that drains.
        if self.restart.state() == restart::State::Starting {
            self.answer_clients();
        }
        (self.sink)(Event::OldGone);
    }
}

/// A generation before this one that has not ended yet.
pub(crate) struct Drains {
    pid: u32,
    generation: u32,
    since: Instant,
    /// Tells its end from another process's that was given its pid.
    #[cfg(target_os = "linux")]
    pidfd: Option<Arc<OwnedFd>>,
}

impl Drains {
    /// Lists it for as long as it lives: where the kernel can say when it has ended, nothing of it is held any longer.
    /// On the tokio runtime.
    pub fn list(drainer: Drainer, shared: &Arc<Shared>) {
        let drains = Drains::new(drainer);
        #[cfg(target_os = "linux")]
        if let Some(watched) = drains.pidfd.clone().and_then(|pidfd| crate::sys::watch(pidfd).ok()) {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                // pidfd_open(2): readable once the process has ended.
                let _ = watched.readable().await;
                lock(&shared.view).drainers.retain(Drains::alive);
            });
        }
        lock(&shared.view).drainers.push(drains);
    }

    fn new(drainer: Drainer) -> Drains {
        Drains {
            pid: drainer.pid,
            generation: drainer.generation,
            since: Instant::now().checked_sub(Duration::from_millis(drainer.since_ms)).unwrap_or_else(Instant::now),
            #[cfg(target_os = "linux")]
            pidfd: process(drainer.pid)
                .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok())
                .map(Arc::new),
        }
    }

    pub fn alive(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = &self.pidfd {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            return poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)) == Ok(0);
        }
        process(self.pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    }

    pub fn show(&self) -> Drainer {
        let since_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        Drainer { pid: self.pid, generation: self.generation, since_ms }
    }
}

fn process(pid: u32) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(pid.cast_signed())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::message::Versions;

    #[tokio::test]
    async fn nothing_is_held_of_a_generation_that_has_ended() {
        let shared = Arc::new(Shared::new(2, Versions::default()));
        let mut old = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        Drains::list(Drainer { pid: old.id(), generation: 1, since_ms: 0 }, &shared);
        tokio::task::yield_now().await;
        assert_eq!(lock(&shared.view).drainers.len(), 1);

        old.kill().unwrap();
        let forgotten = async {
            while !lock(&shared.view).drainers.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), forgotten).await.unwrap();
        old.wait().unwrap();
    }
}
