//! What the end of the channel means, and what not.

use super::*;
use crate::message::Versions;
use crate::spawn::Spec;

fn hello() -> Hello {
    let Versions { newest, oldest } = Versions::default();
    Hello {
        version: newest,
        min: oldest,
        features: vec![],
        pid: std::process::id(),
        generation: 2,
        handover: Default::default(),
        socket: None,
        draining: vec![],
    }
}

/// A new generation that has said hello, its end of the channel, and the pipe by which it is not ready yet.
fn greeted() -> (Attempt, OwnedFd, io::PipeWriter) {
    let (channel, channel_new) = channel::pair().unwrap();
    let theirs = channel_new.try_clone().unwrap();
    let (readiness, notify) = io::pipe().unwrap();
    let (_, handover) = io::pipe().unwrap();
    let spec = Spec {
        file: "/bin/sleep".into(),
        args: ["sleep", "60"].map(OsString::from).into(),
        env: vec![],
        pid_bound: vec![],
        cwd: "/".into(),
        pass: vec![],
    };
    let launched = Launched {
        launcher: spawn::start(&spawn::prepare().unwrap(), spec).unwrap(),
        readiness: readiness.into(),
        handover: handover.into(),
        channel,
        channel_new,
        listeners: vec![],
        program: Default::default(),
    };
    let mut attempt = Attempt::new(launched, 2, hello()).unwrap();
    attempt.greeted(hello());
    (attempt, theirs, notify)
}

async fn released(attempt: &mut Attempt) {
    attempt.launcher.release();
    while !attempt.launcher_gone {
        attempt.next().await;
    }
}

#[tokio::test]
async fn one_that_said_serving_before_we_stopped_listening_is_not_lost_by_that() {
    let (mut attempt, theirs, _notify) = greeted();
    assert!(send_now(theirs.as_fd(), &Frame::Serving));
    assert_eq!(attempt.stop_listening(), [Frame::Serving]);
    assert!(!send_now(theirs.as_fd(), &Frame::Serving), "too late");
    released(&mut attempt).await;
    assert!(!attempt.has_closed() && !attempt.is_lost(), "it lives, and serves");
    drop(theirs);
    assert!(attempt.has_closed() && attempt.is_lost());
    attempt.end("the test is over").await;
}

#[tokio::test]
async fn one_that_closes_its_side_is_lost_once_it_is_released() {
    let (mut attempt, theirs, _notify) = greeted();
    drop(theirs);
    while !matches!(attempt.next().await, Input::Channel(Received::End)) {}
    assert!(attempt.has_closed() && !attempt.is_lost(), "its launcher may still say how it ended");
    released(&mut attempt).await;
    assert!(attempt.is_lost());
    attempt.end("the test is over").await;
}
