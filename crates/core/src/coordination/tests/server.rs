use super::*;
use crate::coordination::{MAX_CLIENTS, MAX_QUESTION, SILENCE};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

const STATUS: &[u8] = br#"{"Request":"Status"}"#;

/// All that the server says until it closes, which it must do of its own accord.
async fn rest(stream: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    match timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await {
        // A server that closes on unread bytes resets the connection.
        Ok(Ok(_)) => {}
        Ok(Err(e)) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset),
        Err(_) => panic!("not closed"),
    }
    all
}

async fn is_answered(service: &mut Service) {
    let mut stream = UnixStream::connect(service.path()).await.unwrap();
    stream.write_all(&framed(STATUS)).await.unwrap();
    service.answer(Ask::Status, Answer::Stopping(1)).await;
    assert_eq!(stream.read_u32().await.unwrap(), 27);
}

#[tokio::test]
async fn a_question_split_anywhere_is_understood() {
    let mut service = Service::start();
    let frame = framed(STATUS);
    for split in 1..frame.len() {
        let mut stream = UnixStream::connect(service.path()).await.unwrap();
        stream.write_all(&frame[..split]).await.unwrap();
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        stream.write_all(&frame[split..]).await.unwrap();
        service.answer(Ask::Status, Answer::Complete(9)).await;
        assert_eq!(rest(&mut stream).await, framed(br#"{"Response":{"RestartComplete":9}}"#));
    }
    let mut stream = UnixStream::connect(service.path()).await.unwrap();
    for byte in frame {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    service.answer(Ask::Status, Answer::Complete(9)).await;
    assert_eq!(rest(&mut stream).await, framed(br#"{"Response":{"RestartComplete":9}}"#));
}

#[tokio::test]
async fn garbage_and_oversize_close_at_once_and_hurt_nobody() {
    let mut service = Service::start();
    let mut waiting = UnixStream::connect(service.path()).await.unwrap();
    waiting.write_all(&framed(STATUS)).await.unwrap();
    let question = service.questions.recv().await.unwrap();
    let too_long = u32::try_from(MAX_QUESTION + 1).unwrap().to_be_bytes().to_vec();
    let frames = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        framed(b""),
        framed(b"not json"),
        framed(br#"{"Request":"Reboot"}"#),
        framed(br#"{"Response":{"RestartComplete":1}}"#),
        framed(br#"["Request"]"#),
        too_long,
        u32::MAX.to_be_bytes().to_vec(),
    ];
    for frame in frames {
        let mut stream = UnixStream::connect(service.path()).await.unwrap();
        stream.write_all(&frame).await.unwrap();
        let started = Instant::now();
        assert_eq!(rest(&mut stream).await, b"");
        assert!(started.elapsed() < SILENCE / 2, "closed late: {:?}", String::from_utf8_lossy(&frame));
    }
    let _ = question.reply.send(Answer::Complete(3));
    assert_eq!(rest(&mut waiting).await, framed(br#"{"Response":{"RestartComplete":3}}"#));
    is_answered(&mut service).await;
}

#[tokio::test]
async fn the_longest_allowed_frame_is_read() {
    let mut service = Service::start();
    let mut body = STATUS.to_vec();
    body.resize(MAX_QUESTION, b' ');
    let mut stream = UnixStream::connect(service.path()).await.unwrap();
    stream.write_all(&framed(&body)).await.unwrap();
    service.answer(Ask::Status, Answer::Complete(1)).await;
    assert_ne!(rest(&mut stream).await, b"");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_after_five_seconds() {
    let service = Service::start();
    let mut silent = UnixStream::connect(service.path()).await.unwrap();
    let mut halfway = UnixStream::connect(service.path()).await.unwrap();
    halfway.write_all(&framed(STATUS)[..10]).await.unwrap();
    let started = Instant::now();
    assert_eq!(rest(&mut silent).await, b"");
    assert_eq!(rest(&mut halfway).await, b"");
    let waited = started.elapsed();
    assert!(waited >= SILENCE && waited < SILENCE + Duration::from_millis(100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asked_may_wait_for_hours() {
    let mut service = Service::start();
    let mut stream = UnixStream::connect(service.path()).await.unwrap();
    stream.write_all(&framed(STATUS)).await.unwrap();
    let question = service.questions.recv().await.unwrap();
    tokio::time::sleep(Duration::from_secs(7200)).await;
    let _ = question.reply.send(Answer::Complete(1));
    assert_ne!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn silent_clients_make_room_the_longest_silent_first() {
    let mut service = Service::start();
    let mut asked = UnixStream::connect(service.path()).await.unwrap();
    asked.write_all(&framed(STATUS)).await.unwrap();
    let question = service.questions.recv().await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..MAX_CLIENTS {
        silent.push(UnixStream::connect(service.path()).await.unwrap());
    }
    assert_eq!(rest(&mut silent[0]).await, b"");
    let mut byte = [0];
    let second = timeout(Duration::from_millis(50), silent[1].read(&mut byte)).await;
    assert!(second.is_err(), "only as many as needed make room");
    is_answered(&mut service).await;
    assert_eq!(rest(&mut silent[1]).await, b"");
    let _ = question.reply.send(Answer::Complete(1));
    assert_ne!(rest(&mut asked).await, b"");
}

/// Silent clients, more than there is room for, connected and not yet accepted.
fn flood(service: &Service) -> Vec<std::os::unix::net::UnixStream> {
    (0..MAX_CLIENTS * 3 / 2).map(|_| std::os::unix::net::UnixStream::connect(service.path()).unwrap()).collect()
}

#[tokio::test]
async fn a_client_that_asked_in_a_flood_is_heard_before_it_is_called_silent() {
    let mut service = Service::start();
    let mut asking = UnixStream::connect(service.path()).await.unwrap();
    asking.try_write(&framed(STATUS)).unwrap();
    let _silent = flood(&service);
    service.answer(Ask::Status, Answer::Complete(1)).await;
    assert_ne!(rest(&mut asking).await, b"");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_just_connected_in_a_flood_may_still_ask() {
    let mut service = Service::start();
    let mut slow = UnixStream::connect(service.path()).await.unwrap();
    let _silent = flood(&service);
    for _ in 0..200 {
        tokio::task::yield_now().await; // the clock stands still, the server does not
    }
    slow.write_all(&framed(STATUS)).await.unwrap();
    service.answer(Ask::Status, Answer::Complete(1)).await;
    assert_ne!(rest(&mut slow).await, b"");
}

#[tokio::test]
async fn a_client_that_waits_for_the_end_makes_room_for_nobody() {
    let mut service = Service::start();
    let mut stopping = UnixStream::connect(service.path()).await.unwrap();
    stopping.write_all(&framed(br#"{"Request":"Stop"}"#)).await.unwrap();
    service.answer(Ask::Stop, Answer::Stopping(7)).await;
    let mut answer = vec![0; framed(br#"{"Response":{"Stopping":7}}"#).len()];
    stopping.read_exact(&mut answer).await.unwrap();
    let _silent = flood(&service);
    is_answered(&mut service).await;
    let end = timeout(Duration::from_millis(50), stopping.read(&mut answer)).await;
    assert!(end.is_err(), "the service has not ended");
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_nothing_and_a_half_closed_one_is_answered() {
    let mut service = Service::start();
    let mut gone = UnixStream::connect(service.path()).await.unwrap();
    gone.write_all(&framed(STATUS)).await.unwrap();
    let mut question = service.questions.recv().await.unwrap();
    drop(gone);
    timeout(Duration::from_secs(10), question.reply.closed()).await.expect("its place is free again");
    assert!(question.reply.send(Answer::Complete(1)).is_err());

    let mut half = UnixStream::connect(service.path()).await.unwrap();
    half.write_all(&framed(STATUS)).await.unwrap();
    half.shutdown().await.unwrap();
    let mut question = service.questions.recv().await.unwrap();
    assert!(timeout(Duration::from_millis(50), question.reply.closed()).await.is_err());
    let _ = question.reply.send(Answer::Complete(2));
    assert_eq!(rest(&mut half).await, framed(br#"{"Response":{"RestartComplete":2}}"#));
}

#[tokio::test]
async fn after_stopping_the_connection_stays_open_and_a_dropped_reply_closes_it() {
    let mut service = Service::start();
    let mut stream = UnixStream::connect(service.path()).await.unwrap();
    stream.write_all(&framed(br#"{"Request":"Stop"}"#)).await.unwrap();
    service.answer(Ask::Stop, Answer::Stopping(77)).await;
    let mut answer = vec![0; framed(br#"{"Response":{"Stopping":77}}"#).len()];
    stream.read_exact(&mut answer).await.unwrap();
    let end = timeout(Duration::from_millis(50), stream.read(&mut answer)).await;
    assert!(end.is_err(), "it must last as long as the process");

    let mut stream = UnixStream::connect(service.path()).await.unwrap();
    stream.write_all(&framed(STATUS)).await.unwrap();
    drop(service.questions.recv().await.unwrap());
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn stop_leaves_the_queue_to_the_next_generation_and_answers_those_it_heard() {
    let mut service = Service::start();
    let mut heard = UnixStream::connect(service.path()).await.unwrap();
    heard.write_all(&framed(STATUS)).await.unwrap();
    let question = service.questions.recv().await.unwrap();
    service.server.stop();
    let mut queued = UnixStream::connect(service.directory.path().join("s.sock")).await.unwrap();
    queued.write_all(&framed(STATUS)).await.unwrap();
    let quiet = timeout(Duration::from_millis(50), service.questions.recv()).await;
    assert!(!matches!(quiet, Ok(Some(_))), "the old one must not answer any more");

    let adopted = super::super::adopt(service.bound.share().unwrap(), None).unwrap();
    assert_eq!(adopted.path(), service.bound.path());
    let (sender, mut questions) = mpsc::unbounded_channel();
    let _next = Server::start(&adopted, sender, &Unanswered::default()).unwrap();
    let _ = questions.recv().await.unwrap().reply.send(Answer::Complete(2));
    assert_eq!(rest(&mut queued).await, framed(br#"{"Response":{"RestartComplete":2}}"#));
    let _ = question.reply.send(Answer::Complete(1));
    assert_eq!(rest(&mut heard).await, framed(br#"{"Response":{"RestartComplete":1}}"#));
}

#[tokio::test]
async fn another_user_is_not_heard() {
    if !rustix::process::geteuid().is_root() {
        return; // it takes root to become another user
    }
    let mut service = Service::start();
    for path in [service.directory.path().to_owned(), service.path()] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(path, open).unwrap();
    }
    let program = r#"use IO::Socket::UNIX; $SIG{PIPE} = "IGNORE"; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 99;
        syswrite($s, pack("N/a", '{"Request":"Status"}')); exit(sysread($s, my $answer, 9) || 0)"#;
    let path = service.path();
    let client = |uid: u32| {
        let mut command = Command::new("/usr/bin/perl");
        command.args(["-e", program]).arg(&path).current_dir("/").uid(uid).gid(uid);
        tokio::task::spawn_blocking(move || command.status())
    };
    let Ok(refused) = client(65534).await.unwrap() else { return };
    assert_eq!(refused.code(), Some(0), "closed without an answer");
    assert!(service.questions.try_recv().is_err());
    let same = client(0);
    service.answer(Ask::Status, Answer::Complete(1)).await;
    assert_eq!(same.await.unwrap().unwrap().code(), Some(9));
}
