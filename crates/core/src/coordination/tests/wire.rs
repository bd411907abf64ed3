use super::super::frame;
use super::*;
use crate::coordination::Client;
use crate::{Code, Failure};
use proptest::prelude::*;
use rustix::io::Errno;
use shellflip::RestartConfig;
use shellflip::restart_coordination_socket::{
    RestartCoordinationSocket, RestartMessage, RestartRequest, RestartResponse,
};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_crates_client_restarts_our_service() {
    let mut service = Service::start();
    let config = RestartConfig { enabled: true, coordination_socket_path: service.path(), ..Default::default() };
    let client = tokio::spawn(config.request_restart());
    service.answer(Ask::Restart, Answer::Complete(42)).await;
    assert_eq!(client.await.unwrap().unwrap(), 42);
}

#[tokio::test]
async fn the_crates_client_is_told_why_a_restart_failed() {
    let mut service = Service::start();
    let stream = UnixStream::connect(service.path()).await.unwrap();
    let client = tokio::spawn(async move { RestartCoordinationSocket::new(stream).send_restart_command().await });
    let failure = Failure::new(Code::NotReady, "wait for ready()");
    service.answer(Ask::Restart, Answer::Failed(failure)).await;
    assert_eq!(client.await.unwrap().unwrap_err().to_string(), "ERR_SHELLFLIP_NOT_READY: wait for ready()");
}

/// A service of the Rust crate: it knows one message and closes on any other.
async fn rust_service(path: PathBuf, response: RestartResponse) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut response = Some(response);
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = RestartCoordinationSocket::new(stream);
            if let Ok(RestartMessage::Request(RestartRequest::TryRestart)) = socket.receive_message().await {
                let _ = socket.send_message(RestartMessage::Response(response.take().unwrap())).await;
            }
        }
    });
}

#[tokio::test]
async fn a_question_that_could_not_be_sent_is_asked_again_and_one_that_was_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("full.sock");
    let listener = UnixListener::bind(&path).unwrap();
    for ask in [Ask::Restart, Ask::Status] {
        let mut client = Client::connect(&path).await.unwrap();
        drop(listener.accept().await.unwrap());
        let heard = async {
            let mut stream = listener.accept().await.unwrap().0;
            let body = frame::read(&mut stream, frame::MAX_ANSWER).await.unwrap();
            assert_eq!(frame::decode_ask(&body).unwrap(), ask);
        };
        let (answer, heard) = tokio::join!(client.ask(ask, LONG), tokio::time::timeout(LONG, heard));
        heard.expect("it is not asked again");
        assert_eq!(answer.unwrap_err().errno, Some(Errno::CONNRESET.raw_os_error()));
        let again = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(again.is_err(), "a question that may have been heard");
    }
}

#[tokio::test]
async fn a_service_that_closes_every_connection_is_not_asked_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("closing.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut client = Client::connect(&path).await.unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let answer = client.ask(Ask::Restart, LONG).await;
    assert_eq!(answer.unwrap_err().errno, Some(Errno::CONNRESET.raw_os_error()));
}

#[tokio::test]
async fn our_client_restarts_a_rust_service() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rust.sock");
    rust_service(path.clone(), RestartResponse::RestartComplete(7)).await;
    let status = Client::connect(&path).await.unwrap().ask(Ask::Status, LONG).await;
    assert_eq!(status.unwrap_err().errno, Some(Errno::CONNRESET.raw_os_error()));
    let restart = Client::connect(&path).await.unwrap().ask(Ask::Restart, LONG).await;
    assert_eq!(restart.unwrap(), Answer::Complete(7));
}

#[tokio::test]
async fn our_client_is_told_why_a_rust_service_failed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rust.sock");
    rust_service(path.clone(), RestartResponse::RestartFailed("Child failed to start".into())).await;
    let restart = Client::connect(&path).await.unwrap().ask(Ask::Restart, LONG).await;
    let Answer::Failed(failure) = restart.unwrap() else { panic!("it failed") };
    assert_eq!((failure.code, failure.message.as_str()), (None, "Child failed to start"));
}

#[tokio::test]
async fn status_and_failures_reach_our_client() {
    let mut service = Service::start();
    let path = service.path();
    let status = serde_json::json!({ "pid": 1, "generation": 4, "draining": [] });
    let mut client = Client::connect(&path).await.unwrap();
    assert_eq!(client.pid(), Some(std::process::id()));
    let (answer, ()) =
        tokio::join!(client.ask(Ask::Status, LONG), service.answer(Ask::Status, Answer::Status(status.clone())));
    assert_eq!(answer.unwrap(), Answer::Status(status));
    let failure = Failure::new(Code::Draining, "it ends");
    let mut client = Client::connect(&path).await.unwrap();
    let (answer, ()) =
        tokio::join!(client.ask(Ask::Stop, LONG), service.answer(Ask::Stop, Answer::Failed(failure.clone())));
    assert_eq!(answer.unwrap(), Answer::Failed(failure));
}

#[tokio::test(start_paused = true)]
async fn a_client_gives_up_in_time_and_says_that_nothing_is_cancelled() {
    let mut service = Service::start();
    let mut client = Client::connect(&service.path()).await.unwrap();
    let (answer, question) = tokio::join!(client.ask(Ask::Restart, LONG), service.questions.recv());
    let failure = answer.unwrap_err();
    assert_eq!(failure.errno, Some(Errno::TIMEDOUT.raw_os_error()));
    assert!(failure.message.contains("not cancelled"), "{failure}");
    assert_eq!(question.unwrap().ask, Ask::Restart);
}

#[tokio::test]
async fn nobody_there_is_no_service() {
    let directory = tempfile::tempdir().unwrap();
    let absent = Client::connect(&directory.path().join("absent")).await.unwrap_err();
    assert_eq!(absent.code, Some(Code::NoService));
    drop(std::os::unix::net::UnixListener::bind(directory.path().join("dead")).unwrap());
    let dead = Client::connect(&directory.path().join("dead")).await.unwrap_err();
    assert_eq!(dead.code, Some(Code::NoService));
}

#[test]
fn messages_are_worded_as_the_crate_words_them() {
    let asks = [
        (Ask::Restart, r#"{"Request":"TryRestart"}"#),
        (Ask::Status, r#"{"Request":"Status"}"#),
        (Ask::Stop, r#"{"Request":"Stop"}"#),
    ];
    for (ask, json) in asks {
        assert_eq!(frame::encode_ask(ask).unwrap(), json.as_bytes());
        assert_eq!(frame::decode_ask(json.as_bytes()).unwrap(), ask);
    }
    let answers = [
        (Answer::Complete(5), r#"{"Response":{"RestartComplete":5}}"#),
        (
            Answer::Failed(Failure::new(Code::ReadyTimeout, "late")),
            r#"{"Response":{"RestartFailed":"ERR_SHELLFLIP_READY_TIMEOUT: late"}}"#,
        ),
        (Answer::Status(serde_json::json!({ "pid": 5 })), r#"{"Response":{"Status":{"pid":5}}}"#),
        (Answer::Stopping(5), r#"{"Response":{"Stopping":5}}"#),
    ];
    for (answer, json) in answers {
        assert_eq!(frame::encode_answer(answer.clone()).unwrap(), json.as_bytes());
        assert_eq!(frame::decode_answer(json.as_bytes()).unwrap(), answer);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_question_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(frame::decode_ask(&body).is_err());
        let _ = frame::decode_answer(&body);
    }
}
