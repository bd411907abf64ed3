//! Old generations that write, and applications that read: at once, late, or never.

use super::*;
use rustix::fs::{Mode, OFlags, open};
use std::io::{PipeWriter, Write, pipe};
use std::sync::mpsc;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

/// Far more than such a pipe holds.
const MUCH: usize = 1 << 20;
const DEADLINE: Duration = Duration::from_secs(30);

fn open_pipe() -> (Reader, PipeWriter) {
    let (end, writer) = pipe().unwrap();
    (Reader::new(end.into()), writer)
}

/// Bytes of which none can be lost, or change places, unnoticed.
fn numbered(bytes: usize) -> Vec<u8> {
    (0..bytes / 4).flat_map(|number| u32::try_from(number).unwrap().to_ne_bytes()).collect()
}

/// The old generation, whose writing blocks, and ends when all is through.
fn write_all(mut writer: PipeWriter, bytes: usize) -> JoinHandle<io::Result<()>> {
    spawn(move || writer.write_all(&numbered(bytes)))
}

fn wait(reader: &Reader) {
    let (tell, told) = mpsc::channel();
    reader.wait(Box::new(move || tell.send(()).unwrap()));
    told.recv_timeout(DEADLINE).unwrap();
}

/// Reads as the application does.
pub(crate) fn read_all(reader: &Reader) -> Vec<u8> {
    let mut all = Vec::new();
    let mut into = vec![0; 5000];
    loop {
        match reader.read(&mut into).unwrap() {
            Read::Bytes(bytes) => all.extend_from_slice(&into[..bytes]),
            Read::Nothing => wait(reader),
            Read::End => return all,
        }
    }
}

#[test]
fn an_empty_pipe_makes_nobody_wait() {
    let (reader, mut writer) = open_pipe();
    let mut into = [0; 8];
    assert_eq!(reader.read(&mut into), Ok(Read::Nothing));
    let (tell, told) = mpsc::channel();
    reader.wait(Box::new(move || tell.send(()).unwrap()));
    assert!(told.try_recv().is_err(), "there is nothing to read yet");
    writer.write_all(b"ab").unwrap();
    told.recv_timeout(DEADLINE).unwrap();
    assert_eq!(reader.read(&mut into), Ok(Read::Bytes(2)));
    drop(writer);
    wait(&reader);
    assert_eq!(reader.read(&mut into), Ok(Read::End));
    wait(&reader);
    assert_eq!(reader.read(&mut into), Ok(Read::End));
}

#[test]
fn everything_comes_in_order() {
    let (reader, writer) = open_pipe();
    let written = write_all(writer, MUCH);
    assert_eq!(read_all(&reader), numbered(MUCH));
    written.join().unwrap().unwrap();
}

#[test]
fn what_the_application_has_begun_to_read_is_kept_for_it_while_it_is_busy() {
    let (reader, writer) = open_pipe();
    let written = write_all(writer, MUCH);
    let mut first = [0; 4];
    wait(&reader);
    assert_eq!(reader.read(&mut first), Ok(Read::Bytes(4)));
    reader.take_everything();
    written.join().unwrap().unwrap();
    assert_eq!([first.to_vec(), read_all(&reader)].concat(), numbered(MUCH));
}

#[test]
fn what_is_kept_can_be_read_though_nothing_more_comes() {
    let (reader, mut writer) = open_pipe();
    assert_eq!(reader.read(&mut [0; 3]), Ok(Read::Nothing));
    reader.take_everything();
    writer.write_all(b"abc").unwrap();
    let since = Instant::now();
    while lock(&reader.pipe).kept.is_empty() {
        assert!(since.elapsed() < DEADLINE, "nobody takes it out");
        std::thread::yield_now();
    }
    wait(&reader);
    assert_eq!(reader.read(&mut [0; 3]), Ok(Read::Bytes(3)));
}

#[test]
fn what_it_goes_on_reading_at_the_same_time_comes_in_order_too() {
    for turn in 0..20 {
        let (reader, writer) = open_pipe();
        let written = write_all(writer, MUCH);
        let other = reader.clone();
        let mut early = vec![0; 4 * (1 + turn * 1000)];
        wait(&reader);
        let Ok(Read::Bytes(bytes)) = reader.read(&mut early) else { panic!("the end came too early") };
        let ready = spawn(move || other.take_everything());
        assert_eq!([&early[..bytes], &read_all(&reader)].concat(), numbered(MUCH));
        ready.join().unwrap();
        written.join().unwrap().unwrap();
    }
}

#[test]
fn what_it_has_not_begun_to_read_is_dropped() {
    let (end, writer) = pipe().unwrap();
    // An old generation may have made it so.
    rustix::io::ioctl_fionbio(&end, true).unwrap();
    let reader = Reader::new(end.into());
    let written = write_all(writer, MUCH);
    reader.take_everything();
    assert_eq!(reader.read(&mut [0; 8]), Ok(Read::End), "at once, whatever the old generation does");
    written.join().unwrap().unwrap();
    reader.take_everything();
    wait(&reader);
}

#[test]
fn a_pipe_that_cannot_be_read_says_so_each_time() {
    let reader = Reader::new(open("/", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap());
    for _ in 0..2 {
        let failure = reader.read(&mut [0; 8]).unwrap_err();
        assert_eq!(failure.code, Some(Code::Inheritance));
        assert!(failure.message.starts_with("the handover pipe cannot be read: "), "{failure}");
        wait(&reader);
    }
}

#[test]
fn the_thread_and_the_descriptor_are_gone_at_the_end() {
    for everything in [false, true] {
        let (reader, mut writer) = open_pipe();
        let end = lock(&reader.pipe).end.as_ref().map(Arc::downgrade).unwrap();
        writer.write_all(b"abc").unwrap();
        wait(&reader);
        assert_eq!(reader.read(&mut [0; 3]), Ok(Read::Bytes(3)));
        if everything {
            reader.take_everything();
        }
        drop(writer);
        wait(&reader);
        assert_eq!(reader.read(&mut [0; 3]), Ok(Read::End));
        let since = Instant::now();
        while end.strong_count() > 0 {
            assert!(since.elapsed() < DEADLINE, "the thread still holds the reading end");
            std::thread::yield_now();
        }
    }
}
