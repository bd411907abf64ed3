//! The channel: a socketpair between two adjacent generations that carries frames and descriptors.
//!
//! Descriptors arrive attached to some byte of the stream; they queue up here and each frame takes as many as its
//! header announced, in order. What no frame took is closed with the channel.

use crate::message::{Frame, Malformed, decode};
use crate::{portable, sys};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    Shutdown, recvmsg, sendmsg, shutdown,
};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// More descriptors than the kernel lets one message carry (SCM_MAX_FD, unix(7)), so that none is ever cut off.
const MOST_DESCRIPTORS: usize = 253;

/// Makes the two ends of a channel: close-on-exec, not blocking.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = UnixStream::pair()?;
    for end in [&one, &other] {
        end.set_nonblocking(true)?;
        portable::quiet(end.as_fd())?;
    }
    Ok((one.into(), other.into()))
}

/// Sends without waiting, from any thread: for the frames whose moment matters. False: the other side is gone, has
/// stopped listening, or has not read for a long time.
pub fn send_now(end: BorrowedFd<'_>, frame: &Frame) -> bool {
    let bytes = frame.encode();
    // A frame of a few bytes is taken whole or not at all (unix(7): a stream socket's buffer is far larger).
    rustix::net::send(end, &bytes, portable::SEND | SendFlags::DONTWAIT).is_ok_and(|sent| sent == bytes.len())
}

/// Closes everything that was sent to `theirs`, the other side's end, and not read there; from here on nothing can be
/// sent to it from `ours`. Neither end is blocking.
pub fn take_back(ours: BorrowedFd<'_>, theirs: OwnedFd) {
    let _ = shutdown(ours, Shutdown::Write);
    // Until the end of the stream, which has just been set.
    while receive_some(theirs.as_fd()).is_ok_and(|(bytes, _)| !bytes.is_empty()) {}
}

/// What a read gave.
#[derive(Debug)]
pub enum Received {
    /// A frame and the descriptors that belong to it.
    Frame(Frame, Vec<OwnedFd>),
    /// The other side closed, or died.
    End,
    /// The other side does not speak our language.
    Malformed(Malformed),
}

/// Opens an end for use on the runtime: what comes in, and a queue for what goes out. The queue never blocks; it is
/// written by a task of its own that ends when the queue is dropped and empty, or the other side is gone.
pub fn open(end: Arc<OwnedFd>) -> io::Result<(Incoming, Outgoing)> {
    rustix::io::ioctl_fionbio(&*end, true)?;
    let socket = Arc::new(sys::watch(end)?);
    let (queue, frames) = mpsc::unbounded_channel();
    tokio::spawn(write_all(Arc::clone(&socket), frames));
    Ok((Incoming { socket, bytes: Vec::new(), descriptors: VecDeque::new() }, Outgoing { queue }))
}

/// What goes out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    queue: mpsc::UnboundedSender<(Frame, Option<OwnedFd>)>,
}

impl Outgoing {
    /// Queues a frame. To a side that is gone it means nothing: its end shows on the incoming half.
    pub fn send(&self, frame: Frame) {
        let _ = self.queue.send((frame, None));
    }

    /// Queues a frame with the descriptor that belongs to it.
    pub fn send_with(&self, frame: Frame, descriptor: OwnedFd) {
        let _ = self.queue.send((frame, Some(descriptor)));
    }
}

async fn write_all(socket: Arc<AsyncFd<Arc<OwnedFd>>>, mut frames: mpsc::UnboundedReceiver<(Frame, Option<OwnedFd>)>) {
    while let Some((frame, descriptor)) = frames.recv().await {
        let bytes = frame.encode();
        let mut sent = 0;
        while sent < bytes.len() {
            let rest = &bytes[sent..];
            let descriptor = if sent == 0 { descriptor.as_ref() } else { None };
            let some = |end: &Arc<OwnedFd>| send_some(end.as_fd(), rest, descriptor.map(AsFd::as_fd).as_slice());
            match socket.async_io(Interest::WRITABLE, some).await {
                Ok(some) => sent += some,
                Err(_) => return,
            }
        }
    }
}

/// What comes in.
pub struct Incoming {
    socket: Arc<AsyncFd<Arc<OwnedFd>>>,
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Incoming {
    /// The next frame. Cancel-safe.
    pub async fn receive(&mut self) -> Received {
        loop {
            if let Some(received) = self.buffered() {
                return received;
            }
            let read = self.socket.async_io(Interest::READABLE, |end| receive_some(end.as_fd())).await;
            if !self.take(read) {
                return Received::End;
            }
        }
    }

    /// A frame that has already arrived, without waiting. `None`: nothing whole is there.
    pub fn arrived(&mut self) -> Option<Received> {
        loop {
            if let Some(received) = self.buffered() {
                return Some(received);
            }
            match receive_some(self.socket.get_ref().as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                read => {
                    if !self.take(read) {
                        return Some(Received::End);
                    }
                }
            }
        }
    }

    /// From here on the other side's sends fail; what it had sent before can still be read. This is what makes
    /// "did it say SERVING before our deadline?" a question with one answer: the kernel orders the two.
    pub fn stop_listening(&self) {
        let _ = shutdown(self.socket.get_ref().as_fd(), Shutdown::Read);
    }

    /// Whether the other side has closed or died, which after `stop_listening` no read tells.
    pub fn hung_up(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut polled = [PollFd::new(self.socket.get_ref(), PollFlags::empty())];
        poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(PollFlags::HUP)
    }

    /// False at the end of the stream: closed, or broken by the other side's death with our bytes unread (unix(7)).
    fn take(&mut self, read: io::Result<(Vec<u8>, Vec<OwnedFd>)>) -> bool {
        let Ok((bytes, descriptors)) = read else { return false };
        self.descriptors.extend(descriptors);
        let more = !bytes.is_empty();
        self.bytes.extend(bytes);
        more
    }

    fn buffered(&mut self) -> Option<Received> {
        match decode(&mut self.bytes) {
            Ok(None) => None,
            Ok(Some((frame, count))) => {
                let count = count.min(self.descriptors.len());
                Some(Received::Frame(frame, self.descriptors.drain(..count).collect()))
            }
            Err(malformed) => Some(Received::Malformed(malformed)),
        }
    }
}

fn send_some(end: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(sendmsg(end, &[IoSlice::new(bytes)], &mut ancillary, portable::SEND | SendFlags::DONTWAIT)?)
}

fn receive_some(end: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; 16 * 1024];
    let flags = RecvFlags::DONTWAIT | portable::RECEIVE;
    let received = recvmsg(end, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    descriptors.iter().try_for_each(portable::close_on_exec)?;
    bytes.truncate(received.bytes);
    Ok((bytes, descriptors))
}

#[cfg(test)]
mod tests;
