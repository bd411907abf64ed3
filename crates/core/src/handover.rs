//! The handover pipe's reading end. The application's own thread reads what is there, straight into its own buffer; a
//! thread of ours only waits for more, and takes the rest out once the application is ready. So neither an empty pipe nor
//! a busy application makes anybody else wait. Needs no engine.

use crate::error::{Code, Failure};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Hears that it is worth reading again.
pub type Reply = Box<dyn FnOnce() + Send>;

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing at present: [`Reader::wait`].
    Nothing,
    /// The end of the stream.
    End,
}

/// The pipe. Clones read the same one.
#[derive(Clone)]
pub struct Reader {
    pipe: Arc<Mutex<Pipe>>,
}

struct Pipe {
    /// `None`: read to its end, broken, or left to be dropped.
    end: Option<Arc<OwnedFd>>,
    /// The application has begun to read: all of it is wanted.
    begun: bool,
    /// Taken out of the pipe before the application asked for it.
    kept: VecDeque<Vec<u8>>,
    /// Why there is no more.
    failure: Option<Failure>,
    /// The thread, once it is needed. Dropping this ends it.
    watcher: Option<Sender<Demand>>,
}

enum Demand {
    /// Say when there is something to read.
    Tell(Reply),
    /// Take everything out of the pipe: the old generation waits for it, whether or not the application reads on.
    Everything,
}

/// What is kept is kept in pieces of at most this size.
const CHUNK: usize = 1 << 16;

impl Reader {
    /// Takes the pipe, and leaves it alone until something is asked of it.
    pub fn new(pipe: OwnedFd) -> Reader {
        let end = Some(Arc::new(pipe));
        let pipe = Pipe { end, begun: false, kept: VecDeque::new(), failure: None, watcher: None };
        Reader { pipe: Arc::new(Mutex::new(pipe)) }
    }

    /// Reads what is there, and waits for nothing. `into` must not be empty.
    ///
    /// # Errors
    /// INHERITANCE if the pipe cannot be read: then there is no more, and every later call says the same.
    pub fn read(&self, into: &mut [u8]) -> Result<Read, Failure> {
        let mut pipe = lock(&self.pipe);
        pipe.begin()?;
        pipe.read(into)
    }

    /// The reply comes once, when a read no longer finds [`Read::Nothing`]; from another thread, or at once.
    pub fn wait(&self, reply: Reply) {
        let mut pipe = lock(&self.pipe);
        let unheard = match pipe.begin().is_ok() && pipe.end.is_some() && pipe.kept.is_empty() {
            true => self.demand(&mut pipe, Demand::Tell(reply)),
            false => Some(Demand::Tell(reply)),
        };
        drop(pipe);
        if let Some(Demand::Tell(reply)) = unheard {
            reply();
        }
    }

    /// The application is ready. If it has begun to read, the rest is kept for it in memory; else it is dropped.
    pub fn take_everything(&self) {
        let mut pipe = lock(&self.pipe);
        if pipe.begun {
            if pipe.end.is_some() {
                self.demand(&mut pipe, Demand::Everything);
            }
        } else if let Some(end) = pipe.end.take().and_then(Arc::into_inner) {
            // An old generation in the middle of writing can finish; without a thread it hears that nobody reads.
            let drop = move || {
                let _ = rustix::io::ioctl_fionbio(&end, false);
                io::copy(&mut File::from(end), &mut io::sink())
            };
            let _ = std::thread::Builder::new().name("shellflip-pipe".into()).spawn(drop);
        }
    }

    /// Gives back a demand that nobody is there to meet.
    fn demand(&self, pipe: &mut Pipe, demand: Demand) -> Option<Demand> {
        if pipe.watcher.is_none()
            && let Some(end) = pipe.end.clone()
        {
            let (watcher, demands) = channel();
            let shared = Arc::downgrade(&self.pipe);
            let thread = std::thread::Builder::new().name("shellflip-pipe".into());
            match thread.spawn(move || watch(&shared, &end, &demands)) {
                Ok(_) => pipe.watcher = Some(watcher),
                Err(error) => _ = pipe.fail(&error),
            }
        }
        match &pipe.watcher {
            Some(watcher) => watcher.send(demand).err().map(|unsent| unsent.0),
            None => Some(demand),
        }
    }
}

impl Pipe {
    fn begin(&mut self) -> Result<(), Failure> {
        match &self.end {
            // Nobody else reads: the old generation and the launcher have closed theirs.
            Some(end) if !self.begun => {
                self.begun = true;
                rustix::io::ioctl_fionbio(end, true).map_err(|error| self.fail(&error.into()))
            }
            _ => Ok(()),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<Read, Failure> {
        if let Some(chunk) = self.kept.front_mut() {
            let bytes = chunk.len().min(into.len());
            into[..bytes].copy_from_slice(&chunk[..bytes]);
            chunk.drain(..bytes);
            if chunk.is_empty() {
                self.kept.pop_front();
            }
            return Ok(Read::Bytes(bytes));
        }
        let Some(end) = self.end.clone() else { return self.failure.clone().map_or(Ok(Read::End), Err) };
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&end, &mut *into));
        self.found(read)
    }

    /// Takes one chunk out of the pipe for later. False: there are no more.
    fn keep(&mut self) -> bool {
        let Some(end) = self.end.clone() else { return false };
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&end, spare_capacity(&mut chunk)));
        match self.found(read) {
            Ok(Read::Bytes(_)) => {
                chunk.shrink_to_fit();
                self.kept.push_back(chunk);
                true
            }
            Ok(Read::Nothing) => true,
            Ok(Read::End) | Err(_) => false,
        }
    }

    fn found(&mut self, read: Result<usize, Errno>) -> Result<Read, Failure> {
        match read {
            Ok(0) => {
                self.close();
                Ok(Read::End)
            }
            Ok(bytes) => Ok(Read::Bytes(bytes)),
            Err(Errno::AGAIN) => Ok(Read::Nothing),
            Err(error) => Err(self.fail(&error.into())),
        }
    }

    fn fail(&mut self, error: &io::Error) -> Failure {
        self.close();
        let failure = Failure::new(Code::Inheritance, format!("the handover pipe cannot be read: {error}"));
        self.failure.insert(failure).clone()
    }

    /// The thread ends, too, and closes its share.
    fn close(&mut self) {
        self.end = None;
        self.watcher = None;
    }
}

/// The thread: waits for the pipe, never for the application.
fn watch(pipe: &Weak<Mutex<Pipe>>, end: &OwnedFd, demands: &Receiver<Demand>) {
    let mut everything = false;
    loop {
        let mut replies = Vec::new();
        if !everything {
            let Ok(first) = demands.recv() else { return };
            everything = heard([first], &mut replies);
        }
        // Bytes, the end, or an error: a read will tell.
        let _ = rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(end, PollFlags::IN)], None));
        let more = !everything || pipe.upgrade().is_some_and(|pipe| lock(&pipe).keep());
        // Whoever found the pipe empty a moment ago asked under the lock, so that it is heard here.
        everything |= heard(demands.try_iter(), &mut replies);
        replies.into_iter().for_each(|reply| reply());
        if !more {
            return;
        }
    }
}

/// True if one of them wants everything.
fn heard(demands: impl IntoIterator<Item = Demand>, replies: &mut Vec<Reply>) -> bool {
    let mut everything = false;
    for demand in demands {
        match demand {
            Demand::Tell(reply) => replies.push(reply),
            Demand::Everything => everything = true,
        }
    }
    everything
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests;
