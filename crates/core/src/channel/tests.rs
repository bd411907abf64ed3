//! Over real socketpairs.

use super::*;
use crate::listener::{Address, Source};
use crate::message::Offered;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

fn offered(name: &str) -> Frame {
    let address = Address::Tcp { ip: [127, 0, 0, 1].into(), port: 1 };
    Frame::Listener(Offered { name: name.into(), address, source: Source::Generation, file: None, tickets: None })
}

async fn next(channel: &mut Incoming) -> (Frame, Vec<OwnedFd>) {
    match channel.receive().await {
        Received::Frame(frame, descriptors) => (frame, descriptors),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_frame_gets_its_own_descriptors_close_on_exec() {
    let (a, b) = pair().unwrap();
    let ((_keep, a), (mut b, _)) = (open(a.into()).unwrap(), open(b.into()).unwrap());
    let one = TcpListener::bind("127.0.0.1:0").unwrap();
    let two = TcpListener::bind("127.0.0.1:0").unwrap();
    a.send_with(offered("one"), one.try_clone().unwrap().into());
    a.send(Frame::Given);
    a.send_with(offered("two"), two.try_clone().unwrap().into());
    for (name, listener) in [("one", Some(&one)), ("", None), ("two", Some(&two))] {
        let (frame, mut descriptors) = next(&mut b).await;
        let Some(listener) = listener else {
            assert_eq!((frame, descriptors.len()), (Frame::Given, 0));
            continue;
        };
        assert_eq!(frame, offered(name));
        let descriptor = descriptors.pop().unwrap();
        assert!(rustix::io::fcntl_getfd(&descriptor).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        let same = TcpListener::from(descriptor);
        assert_eq!(same.local_addr().unwrap(), listener.local_addr().unwrap());
        assert_ne!(same.as_raw_fd(), listener.as_raw_fd());
    }
}

#[tokio::test]
async fn the_other_sides_death_is_the_end() {
    let (a, b) = pair().unwrap();
    let (mut b, _queue) = open(b.into()).unwrap();
    assert!(send_now(a.as_fd(), &Frame::Serving));
    drop(a);
    assert_eq!(next(&mut b).await.0, Frame::Serving);
    assert!(matches!(b.receive().await, Received::End));
}

#[tokio::test]
async fn serving_is_either_said_before_the_deadline_or_refused() {
    let (old, new) = pair().unwrap();
    let (mut old, _queue) = open(old.into()).unwrap();
    assert!(send_now(new.as_fd(), &Frame::Serving));
    old.stop_listening();
    assert!(matches!(old.arrived(), Some(Received::Frame(Frame::Serving, _))), "what was said before is still heard");
    assert!(!send_now(new.as_fd(), &Frame::Serving), "what comes later is refused");
    assert!(matches!(old.arrived(), Some(Received::End)));
    assert!(!old.hung_up(), "it is we who have stopped");
    drop(new);
    assert!(old.hung_up());
}

#[tokio::test]
async fn what_is_taken_back_is_closed_however_much_it_is() {
    let (a, b) = pair().unwrap();
    let reader = b.try_clone().unwrap();
    let end = Arc::new(a);
    let (_incoming, queue) = open(Arc::clone(&end)).unwrap();
    let (pipe, kept) = std::io::pipe().unwrap();
    for _ in 0..2000 {
        queue.send_with(offered(&"x".repeat(1000)), kept.as_fd().try_clone_to_owned().unwrap());
    }
    drop(kept);
    // Till the socket is full.
    tokio::task::yield_now().await;
    take_back(end.as_fd(), b);
    // The task that wrote the rest fails, and drops it.
    drop(queue);
    let ended = tokio::task::spawn_blocking(move || std::io::Read::read(&mut &pipe, &mut [0]));
    assert_eq!(ended.await.unwrap().unwrap(), 0, "a copy of the descriptor is still open");
    assert!(receive_some(reader.as_fd()).unwrap().0.is_empty(), "the end of the stream");
}

#[tokio::test]
async fn frames_beyond_the_socket_buffer_arrive_whole() {
    let (a, b) = pair().unwrap();
    let ((_keep, a), (mut b, _)) = (open(a.into()).unwrap(), open(b.into()).unwrap());
    let frame = Frame::Failing("x".repeat(60_000));
    for _ in 0..20 {
        a.send(frame.clone());
    }
    for _ in 0..20 {
        assert_eq!(next(&mut b).await.0, frame);
    }
}
