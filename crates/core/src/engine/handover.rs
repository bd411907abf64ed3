//! The handover pipe: bytes of the old generation's state, written and read by tasks so that a full or an empty pipe
//! makes nobody else wait.

use super::{Event, Sink};
use crate::error::{Code, Failure};
use rustix::io::Errno;
use shellflip::lifecycle::{PipeReader, PipeWriter};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// The old generation's end. Dropping it, once what was queued is written, is the end of the stream.
pub(crate) struct Writer {
    chunks: mpsc::UnboundedSender<(u32, Vec<u8>)>,
    task: tokio::task::JoinHandle<()>,
    broken: Arc<AtomicBool>,
}

impl Writer {
    pub fn new(end: OwnedFd, sink: Sink) -> io::Result<Writer> {
        let pipe: PipeWriter = Box::pin(pipe::Sender::from_owned_fd(end)?);
        let (chunks, queue) = mpsc::unbounded_channel();
        let broken = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(write(pipe, queue, sink, Arc::clone(&broken)));
        Ok(Writer { chunks, task, broken })
    }

    /// Nobody reads any more.
    pub fn broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    pub fn write(&self, id: u32, chunk: Vec<u8>) {
        // A task that has ended has reported why.
        let _ = self.chunks.send((id, chunk));
    }

    /// Gives up: what is queued is not written.
    pub fn abandon(self) {
        self.task.abort();
    }
}

async fn write(
    mut pipe: PipeWriter,
    mut queue: mpsc::UnboundedReceiver<(u32, Vec<u8>)>,
    sink: Sink,
    broken: Arc<AtomicBool>,
) {
    while let Some((id, chunk)) = queue.recv().await {
        match pipe.write_all(&chunk).await {
            Ok(()) => sink(Event::HandoverWritten { id, failure: None }),
            Err(error) => {
                broken.store(true, Ordering::Relaxed);
                let text = match error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) {
                    true => "the new generation closed the handover pipe before it had read everything".into(),
                    false => format!("the handover pipe cannot be written: {error}"),
                };
                sink(Event::HandoverWritten { id, failure: Some(Failure::new(Code::HandoverFailed, text)) });
                return;
            }
        }
    }
}

/// The new generation's end.
pub(crate) struct Reader {
    demands: mpsc::UnboundedSender<Demand>,
}

enum Demand {
    /// One chunk, please.
    Chunk,
    /// Take everything out of the pipe: the old generation waits for it, whether or not the application reads on.
    Everything,
}

/// One read: as much as the pipe holds when it was enlarged.
const CHUNK: usize = 1 << 20;

impl Reader {
    pub fn new(pipe: PipeReader, sink: Sink) -> Reader {
        let (demands, queue) = mpsc::unbounded_channel();
        tokio::spawn(read(pipe, queue, sink));
        Reader { demands }
    }

    /// Asks for a chunk.
    pub fn chunk(&self) {
        let _ = self.demands.send(Demand::Chunk);
    }

    /// The application is ready: what it has not read yet is kept for it in memory.
    pub fn take_everything(&self) {
        let _ = self.demands.send(Demand::Everything);
    }
}

async fn read(mut pipe: PipeReader, mut demands: mpsc::UnboundedReceiver<Demand>, sink: Sink) {
    let mut kept: VecDeque<io::Result<Vec<u8>>> = VecDeque::new();
    let mut ended = false;
    while let Some(demand) = demands.recv().await {
        match demand {
            Demand::Chunk => {
                let chunk = match kept.pop_front() {
                    Some(chunk) => chunk,
                    None if ended => Ok(vec![]),
                    None => one(&mut pipe, &mut ended).await,
                };
                sink(shown(chunk));
            }
            Demand::Everything => {
                while !ended {
                    kept.push_back(one(&mut pipe, &mut ended).await);
                }
            }
        }
    }
}

async fn one(pipe: &mut PipeReader, ended: &mut bool) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; CHUNK];
    let read = pipe.read(&mut chunk).await;
    *ended = !matches!(read, Ok(1..));
    chunk.truncate(read?);
    Ok(chunk)
}

/// An empty chunk is the end of the stream.
fn shown(chunk: io::Result<Vec<u8>>) -> Event {
    match chunk {
        Ok(chunk) => Event::HandoverChunk { chunk: Some(chunk).filter(|chunk| !chunk.is_empty()), failure: None },
        Err(error) => {
            let text = format!("the handover pipe cannot be read: {error}");
            Event::HandoverChunk { chunk: None, failure: Some(Failure::new(Code::Inheritance, text)) }
        }
    }
}

/// Reads what nobody asked for, so that an old generation in the middle of writing can finish.
pub(crate) fn discard(mut pipe: PipeReader) {
    tokio::spawn(async move { tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await });
}
