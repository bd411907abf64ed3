//! The channel: frames however they are cut, and descriptors of which none may be left behind.

use crate::channel::{Received, open, pair};
use crate::message::{Frame, Malformed, decode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
}

/// The first byte says in how large parts the rest arrives, and how many descriptors come with each.
pub fn channel(bytes: &[u8]) {
    let Some((&shape, stream)) = bytes.split_first() else { return };
    let size = usize::from(shape >> 2) + 1;
    let expected = decoded(stream, stream.len().max(1));
    assert_eq!(expected, decoded(stream, size), "how it was cut makes a difference");
    let taken = received(stream, size, usize::from(shape & 3));
    let announced = expected.0.iter().map(|(frame, count)| (frame.clone(), *count));
    assert_eq!(taken.1, expected.1);
    for ((frame, count), (received, held)) in announced.zip(&taken.0) {
        assert_eq!(frame, *received);
        assert!(*held <= count, "a frame took a descriptor of another");
        if let Ok(Some((again, _))) = decode(&mut frame.encode()) {
            assert_eq!(again, frame);
        }
    }
    assert_eq!(taken.0.len(), expected.0.len());
}

type Decoded = (Vec<(Frame, usize)>, Option<Malformed>);

fn decoded(stream: &[u8], size: usize) -> Decoded {
    let (mut frames, mut buffer) = (Vec::new(), Vec::new());
    for part in stream.chunks(size) {
        buffer.extend(part);
        loop {
            match decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(malformed) => return (frames, Some(malformed)),
            }
        }
    }
    (frames, None)
}

/// The same over a real channel, with the number of descriptors that each frame really got.
fn received(stream: &[u8], size: usize, descriptors: usize) -> Decoded {
    let (watch, witness) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    let (ours, theirs) = pair().unwrap();
    let taken = RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let (mut incoming, outgoing) = open(Arc::new(ours)).unwrap();
            drop(outgoing);
            tokio::task::yield_now().await;
            let mut frames = Vec::new();
            let mut parts = stream.chunks(size);
            let mut theirs = Some(theirs);
            loop {
                match incoming.arrived() {
                    Some(Received::Frame(frame, descriptors)) => frames.push((frame, descriptors.len())),
                    Some(Received::Malformed(malformed)) => return (frames, Some(malformed)),
                    Some(Received::End) => return (frames, None),
                    None => match (parts.next(), &theirs) {
                        (Some(part), Some(end)) => send(end, part, &witness, descriptors),
                        _ => theirs = None,
                    },
                }
            }
        })
    });
    drop(witness);
    // A process that another test starts at this moment may have copies until it executes its program.
    let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
    poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&patience)).unwrap();
    assert_eq!(rustix::io::read(&watch, &mut [0; 1]), Ok(0), "a descriptor is left behind");
    taken
}

fn send(end: &OwnedFd, part: &[u8], witness: &OwnedFd, descriptors: usize) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let rights: [BorrowedFd<'_>; 3] = [witness.as_fd(); 3];
    if descriptors > 0 {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&rights[..descriptors])));
    }
    assert_eq!(sendmsg(end, &[IoSlice::new(part)], &mut ancillary, SendFlags::DONTWAIT), Ok(part.len()));
}
