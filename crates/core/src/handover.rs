//! The handover pipe's reading end: read by a thread of its own from the first demand on, so that the application may
//! read before there is an engine, and so that a full or an empty pipe makes nobody else wait.

use crate::error::{Code, Failure};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Hears of one chunk; `None` is the end of the stream.
pub type Reply = Box<dyn FnOnce(Result<Option<Vec<u8>>, Failure>) + Send>;

/// The pipe. Clones read the same one.
#[derive(Clone)]
pub struct Reader {
    stage: Arc<Mutex<Stage>>,
}

enum Stage {
    /// Nobody has asked for anything yet.
    Untouched(OwnedFd),
    /// The thread reads, or has read everything.
    Reading(mpsc::UnboundedSender<Demand>),
    /// There was no thread to be had.
    Lost,
}

enum Demand {
    /// One chunk, please.
    Chunk(Reply),
    /// Take everything out of the pipe: the old generation waits for it, whether or not the application reads on.
    Everything,
}

/// One read: as much as the pipe holds when it was enlarged.
const CHUNK: usize = 1 << 20;

impl Reader {
    /// Takes the pipe, and leaves it alone until something is asked of it.
    pub fn new(pipe: OwnedFd) -> Reader {
        Reader { stage: Arc::new(Mutex::new(Stage::Untouched(pipe))) }
    }

    /// Asks for the next chunk.
    pub fn chunk(&self, reply: Reply) {
        match self.demand(Demand::Chunk(reply)) {
            // Everything has been read, and the thread has ended.
            Some(Demand::Chunk(reply)) => reply(Ok(None)),
            Some(Demand::Everything) | None => {}
        }
    }

    /// The application is ready. If it has begun to read, the rest is kept for it in memory; else it is dropped.
    pub fn take_everything(&self) {
        self.demand(Demand::Everything);
    }

    /// Gives back a demand that nobody is there to meet.
    fn demand(&self, demand: Demand) -> Option<Demand> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Stage::Untouched(_) = &*stage
            && let Stage::Untouched(pipe) = std::mem::replace(&mut *stage, Stage::Lost)
            && let Ok(demands) = begin(pipe)
        {
            *stage = Stage::Reading(demands);
        }
        match &*stage {
            Stage::Reading(demands) => demands.send(demand).err().map(|unsent| unsent.0),
            Stage::Untouched(_) | Stage::Lost => {
                let Demand::Chunk(reply) = demand else { return None };
                reply(Err(Failure::new(Code::Inheritance, "no thread to read the handover pipe")));
                None
            }
        }
    }
}

fn begin(pipe: OwnedFd) -> io::Result<mpsc::UnboundedSender<Demand>> {
    let (demands, queue) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("shellflip-pipe".into()).spawn(move || read(pipe, queue))?;
    Ok(demands)
}

fn read(pipe: OwnedFd, mut demands: mpsc::UnboundedReceiver<Demand>) {
    let mut pipe = File::from(pipe);
    let mut kept: VecDeque<io::Result<Vec<u8>>> = VecDeque::new();
    let (mut asked, mut ended) = (false, false);
    while !ended || !kept.is_empty() {
        match demands.blocking_recv() {
            Some(Demand::Chunk(reply)) => {
                asked = true;
                let chunk = kept.pop_front().unwrap_or_else(|| one(&mut pipe, &mut ended));
                reply(shown(chunk));
                // The next one is read while the application deals with this one.
                if !ended && kept.is_empty() {
                    kept.push_back(one(&mut pipe, &mut ended));
                }
            }
            Some(Demand::Everything) if asked => {
                while !ended {
                    kept.push_back(one(&mut pipe, &mut ended));
                }
            }
            Some(Demand::Everything) => {
                // An old generation in the middle of writing can finish.
                let _ = io::copy(&mut pipe, &mut io::sink());
                ended = true;
            }
            None => return,
        }
    }
    drop(pipe);
    demands.close();
    while let Some(demand) = demands.blocking_recv() {
        if let Demand::Chunk(reply) = demand {
            reply(Ok(None));
        }
    }
}

fn one(pipe: &mut File, ended: &mut bool) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(CHUNK);
    let read = loop {
        match rustix::io::read(&*pipe, spare_capacity(&mut chunk)) {
            Err(Errno::INTR) => {}
            read => break read,
        }
    };
    *ended = !matches!(read, Ok(1..));
    read?;
    Ok(chunk)
}

/// An empty chunk is the end of the stream.
fn shown(chunk: io::Result<Vec<u8>>) -> Result<Option<Vec<u8>>, Failure> {
    match chunk {
        Ok(chunk) => Ok(Some(chunk).filter(|chunk| !chunk.is_empty())),
        Err(error) => Err(Failure::new(Code::Inheritance, format!("the handover pipe cannot be read: {error}"))),
    }
}
