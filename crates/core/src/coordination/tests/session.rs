use super::*;
use crate::coordination::{Session, restart_blocking};
use crate::{Code, Failure};
use rustix::io::Errno;
use std::path::Path;
use std::sync::mpsc as sync;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;

const LONG: Duration = Duration::from_secs(10);

/// Opens a session; what its thread says arrives here.
fn open(path: &Path) -> (Session, sync::Receiver<Result<(), Failure>>) {
    let (sender, connected) = sync::channel();
    let session = Session::open(path.to_owned(), Box::new(move |result| sender.send(result).unwrap())).unwrap();
    (session, connected)
}

fn restart(session: &mut Session, within: Duration) -> sync::Receiver<Result<u32, Failure>> {
    let (sender, restarted) = sync::channel();
    session.restart(within, Box::new(move |result| sender.send(result).unwrap()));
    restarted
}

#[tokio::test]
async fn a_session_connects_asks_and_is_told() {
    let mut service = Service::start();
    let (mut session, connected) = open(&service.path());
    connected.recv_timeout(LONG).unwrap().unwrap();
    let restarted = restart(&mut session, LONG);
    service.answer(Ask::Restart, Answer::Complete(42)).await;
    let told = tokio::task::spawn_blocking(move || restarted.recv_timeout(LONG));
    assert_eq!(told.await.unwrap().unwrap().unwrap(), 42);
    let again = restart(&mut session, LONG).recv_timeout(LONG).unwrap();
    assert_eq!(again.unwrap_err().code, Some(Code::InvalidArg));
}

#[tokio::test]
async fn a_session_is_told_why_a_restart_failed() {
    let mut service = Service::start();
    let (mut session, _connected) = open(&service.path());
    let restarted = restart(&mut session, LONG);
    let failure = Failure::new(Code::RestartInProgress, "one at a time");
    service.answer(Ask::Restart, Answer::Failed(failure.clone())).await;
    let told = tokio::task::spawn_blocking(move || restarted.recv_timeout(LONG));
    assert_eq!(told.await.unwrap().unwrap().unwrap_err(), failure);
}

#[test]
fn where_nobody_listens_both_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.sock");
    let (mut session, connected) = open(&path);
    assert_eq!(connected.recv_timeout(LONG).unwrap().unwrap_err().code, Some(Code::NoService));
    let told = restart(&mut session, LONG).recv_timeout(LONG);
    // The thread has ended, or is about to: then nobody is left to call back.
    assert!(!matches!(told, Ok(Ok(_))));
    assert_eq!(restart_blocking(&path, LONG).unwrap_err().code, Some(Code::NoService));
}

#[tokio::test]
async fn dropping_a_session_hangs_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (mut session, _connected) = open(&path);
    let restarted = restart(&mut session, LONG);
    let (mut stream, _) = listener.accept().await.unwrap();
    drop(session);
    let mut asked = Vec::new();
    stream.read_to_end(&mut asked).await.unwrap();
    assert_eq!(restarted.recv_timeout(LONG), Err(sync::RecvTimeoutError::Disconnected));
}

#[tokio::test]
async fn a_service_that_never_answers_costs_no_more_than_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let (mut session, _connected) = open(&path);
    let told = restart(&mut session, Duration::from_millis(20)).recv_timeout(LONG).unwrap();
    assert_eq!(told.unwrap_err().errno, Some(Errno::TIMEDOUT.raw_os_error()));
}

#[tokio::test]
async fn a_process_does_not_block_on_itself() {
    let service = Service::start();
    let path = service.path();
    let told = tokio::task::spawn_blocking(move || restart_blocking(&path, LONG)).await.unwrap();
    assert_eq!(told.unwrap_err().code, Some(Code::InvalidArg));
}
