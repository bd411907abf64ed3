//! A new generation that reads, does not read, or is gone.

use super::*;
use std::io::{PipeReader, Read, pipe};
use std::time::Duration;

fn open_pipe() -> (Writer, PipeReader) {
    let (reader, end) = pipe().unwrap();
    rustix::io::ioctl_fionbio(&end, true).unwrap();
    (Writer::new(end.into()).unwrap(), reader)
}

/// Waits as the engine does.
async fn room(writer: &Writer) {
    tokio::time::timeout(Duration::from_secs(30), writer.room()).await.unwrap();
}

/// Writes as JavaScript does, until no more goes in.
async fn fill(writer: &Writer) {
    // The runtime looks at the pipe only when it is waited for.
    while writer.end().write(&[7]) == Ok(0) {
        room(writer).await;
    }
    while writer.end().write(&[7; 10_000]).unwrap() > 0 {}
}

/// The new generation takes what is there.
async fn room_once_read(writer: &Writer, mut reader: &PipeReader) {
    let filled = usize::try_from(rustix::io::ioctl_fionread(reader).unwrap()).unwrap();
    reader.read_exact(&mut vec![0; filled]).unwrap();
    room(writer).await;
}

/// Polls it once.
async fn has_room(writer: &Writer) -> bool {
    tokio::select! {
        biased;
        () = writer.room() => true,
        () = tokio::task::yield_now() => false,
    }
}

#[tokio::test]
async fn a_full_pipe_has_room_again_once_it_is_read() {
    let (writer, reader) = open_pipe();
    assert!(!has_room(&writer).await, "nobody has asked");
    fill(&writer).await;
    assert!(writer.stuck());
    for _ in 0..3 {
        assert!(!has_room(&writer).await, "nobody has read; and asking again is no answer");
    }
    room_once_read(&writer, &reader).await;
    assert!(!writer.stuck());
    assert_eq!(writer.end().write(b"abc"), Ok(3));
}

#[tokio::test]
async fn who_waits_already_hears_of_a_pipe_that_is_full_only_now() {
    let (writer, reader) = open_pipe();
    fill(&writer).await;
    room_once_read(&writer, &reader).await;
    let waits = room(&writer);
    tokio::pin!(waits);
    assert!(tokio::time::timeout(Duration::ZERO, waits.as_mut()).await.is_err(), "nobody has asked");
    while writer.end().write(&[7; 10_000]).unwrap() > 0 {}
    drop(reader);
    waits.await;
}

#[tokio::test]
async fn closing_it_is_the_end_of_the_stream() {
    let (writer, mut reader) = open_pipe();
    let end = writer.end();
    while end.write(b"abc") == Ok(0) {
        room(&writer).await;
    }
    drop(writer);
    // Else a stream without an end is waited for.
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert_eq!(read, b"abc");
    let failure = end.write(b"d").unwrap_err();
    assert_eq!(failure.code, Some(Code::HandoverFailed));
    assert_eq!(failure.message, "the restart has been called off");
}

#[tokio::test]
async fn a_reader_that_closes_it_ends_the_wait_for_room() {
    let (writer, reader) = open_pipe();
    fill(&writer).await;
    assert!(!writer.broken());
    drop(reader);
    room(&writer).await;
    let failure = writer.end().write(b"d").unwrap_err();
    assert_eq!(failure.code, Some(Code::HandoverFailed));
    assert_eq!(failure.message, "the new generation closed the handover pipe before it had read everything");
    assert!(writer.broken());
}
