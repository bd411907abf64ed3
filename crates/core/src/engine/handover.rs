//! The handover pipe's writing end: bytes of the old generation's state, written by a task so that a full pipe makes
//! nobody else wait.

use super::{Event, Sink};
use crate::error::{Code, Failure};
use rustix::io::Errno;
use shellflip::lifecycle::PipeWriter;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// The old generation's end. Dropping it, once what was queued is written, is the end of the stream.
pub(crate) struct Writer {
    pieces: mpsc::UnboundedSender<(u32, Vec<Vec<u8>>)>,
    task: tokio::task::JoinHandle<()>,
    broken: Arc<AtomicBool>,
    /// Pieces that are not in the pipe yet.
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    pub fn new(end: OwnedFd, sink: Sink) -> io::Result<Writer> {
        let pipe: PipeWriter = Box::pin(pipe::Sender::from_owned_fd(end)?);
        let (pieces, queue) = mpsc::unbounded_channel();
        let broken = Arc::new(AtomicBool::new(false));
        let waiting = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(write(pipe, queue, sink, Arc::clone(&broken), Arc::clone(&waiting)));
        Ok(Writer { pieces, task, broken, waiting })
    }

    /// The pipe is full: the new generation does not read.
    pub fn stuck(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Nobody reads any more.
    pub fn broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    pub fn write(&self, id: u32, piece: Vec<Vec<u8>>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // A task that has ended has reported why.
        let _ = self.pieces.send((id, piece));
    }

    /// Gives up: what is queued is not written.
    pub fn abandon(self) {
        self.task.abort();
    }
}

async fn write(
    mut pipe: PipeWriter,
    mut queue: mpsc::UnboundedReceiver<(u32, Vec<Vec<u8>>)>,
    sink: Sink,
    broken: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some((id, piece)) = queue.recv().await {
        match write_all(&mut pipe, piece).await {
            Ok(()) => {
                waiting.fetch_sub(1, Ordering::Relaxed);
                sink(Event::HandoverWritten { id, failure: None });
            }
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

async fn write_all(pipe: &mut PipeWriter, piece: Vec<Vec<u8>>) -> io::Result<()> {
    for chunk in piece {
        pipe.write_all(&chunk).await?;
    }
    Ok(())
}
