//! The handover pipe's writing end. JavaScript's thread writes as much as the pipe takes, straight from the application's
//! own buffers; the engine waits for room, so that a full pipe makes nobody else wait, and closes the pipe.

use super::lock;
use crate::error::{Code, Failure};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::unix::pipe::Sender;
use tokio::sync::Notify;

/// The engine's side. Dropping it closes the pipe: the end of the stream.
pub(crate) struct Writer {
    end: Arc<End>,
}

/// JavaScript's side.
pub(crate) struct End {
    /// `None`: closed. Held while a write is under way, which takes microseconds: the pipe is not closed under it.
    pipe: Mutex<Option<Arc<Sender>>>,
    /// JavaScript had more than it took.
    full: AtomicBool,
    asked: Notify,
    broken: AtomicBool,
}

impl Writer {
    pub fn new(end: OwnedFd) -> io::Result<Writer> {
        let pipe = Mutex::new(Some(Arc::new(Sender::from_owned_fd(end)?)));
        let (full, broken) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Writer { end: Arc::new(End { pipe, full, asked: Notify::new(), broken }) })
    }

    pub fn end(&self) -> Arc<End> {
        Arc::clone(&self.end)
    }

    /// The pipe is full: the new generation does not read.
    pub fn stuck(&self) -> bool {
        self.end.full.load(Ordering::Relaxed)
    }

    /// Nobody reads any more.
    pub fn broken(&self) -> bool {
        self.end.broken.load(Ordering::Relaxed)
    }

    /// Waits until a pipe that was full when JavaScript wrote takes bytes again, or will not ever. Cancel-safe.
    pub async fn room(&self) {
        while !self.stuck() {
            self.end.asked.notified().await;
        }
        let pipe = lock(&self.end.pipe).clone();
        if let Some(pipe) = pipe {
            // An error shows at the next write.
            let _ = pipe.writable().await;
        }
        self.end.full.store(false, Ordering::Relaxed);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.end.pipe).take();
    }
}

impl End {
    /// How many of these bytes the pipe has taken. 0: it is full, and [`Writer::room`] ends when that has changed. There
    /// must be at least one byte.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Failure> {
        let pipe = lock(&self.pipe);
        let Some(pipe) = &*pipe else { return Err(called_off()) };
        loop {
            match pipe.try_write(bytes) {
                Ok(taken) => return Ok(taken),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.full.store(true, Ordering::Relaxed);
                    self.asked.notify_one();
                    return Ok(0);
                }
                Err(error) => {
                    self.broken.store(true, Ordering::Relaxed);
                    let text = match error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) {
                        true => "the new generation closed the handover pipe before it had read everything".into(),
                        false => format!("the handover pipe cannot be written: {error}"),
                    };
                    return Err(Failure::new(Code::HandoverFailed, text));
                }
            }
        }
    }
}

/// There is no pipe, or not any more.
pub(crate) fn called_off() -> Failure {
    Failure::new(Code::HandoverFailed, "the restart has been called off")
}

#[cfg(test)]
mod tests;
