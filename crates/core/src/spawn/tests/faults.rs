//! The launcher stopped or killed, at any moment: what it leaves is noticed, can be ended, and is ended.

use super::*;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_death_that_a_stopped_launcher_does_not_report_is_noticed_and_the_launcher_ended() {
    let (mut running, mut output, _input) = launch_living("");
    let launcher = running.launcher_pid().unwrap();
    let pid = started(&mut running).await;
    kill(launcher, Signal::STOP);
    kill(pid, Signal::KILL);
    assert_eq!(running.next().await, Report::Ended);
    assert!(!exists(launcher));
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
    assert_eq!(running.next().await, Report::Gone);
}

#[tokio::test]
async fn killed_behind_a_stopped_launcher_it_ends_and_the_launcher_with_it() {
    let (mut running, mut output, _input) = launch_living("");
    let launcher = running.launcher_pid().unwrap();
    started(&mut running).await;
    kill(launcher, Signal::STOP);
    running.kill();
    assert_eq!(running.next().await, Report::Ended);
    assert!(!exists(launcher));
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn a_stopped_launcher_can_be_ended_and_the_new_generation_lives_on() {
    let (mut running, mut output, mut input) = launch_living("read line <&4; echo still here >&3;");
    let launcher = running.launcher_pid().unwrap();
    started(&mut running).await;
    kill(launcher, Signal::STOP);
    running.end_launcher();
    assert!(!exists(launcher) && !running.has_ended());
    input.write_all(b"go on\n").unwrap();
    let mut line = [0; 11];
    output.read_exact(&mut line).unwrap();
    drop(input);
    assert_eq!(running.next().await, Report::Ended);
    assert!(running.has_ended());
}

#[tokio::test]
async fn its_end_after_the_release_is_noticed() {
    let (mut running, _output, input) = launch_living("");
    started(&mut running).await;
    running.release();
    assert_eq!(running.next().await, Report::Released);
    assert!(!running.has_ended());
    drop(input);
    assert_eq!(running.next().await, Report::Ended);
}

/// The moments between the launcher's start and the program's are microseconds: each round aims at another one.
#[tokio::test]
async fn whenever_the_launcher_is_killed_nothing_is_left_that_cannot_be_ended() {
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..150_u64 {
        let (theirs, _input) = pipe().unwrap();
        let mut spec = shell("read line <&4");
        spec.pass.push(theirs.into());
        let (mut running, output) = launch_writing(spec);
        let launcher = running.launcher_pid().unwrap();
        let moment = Instant::now() + Duration::from_micros(round * 20);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        kill(launcher, Signal::KILL);
        let mut last = running.next().await;
        while matches!(last, Report::Started { .. }) {
            last = running.next().await;
        }
        assert_eq!(last, Report::Gone);
        seen.insert(running.pid().is_some());
        running.kill();
        // Nobody holds the other end any more.
        let deadline = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
        let ended = poll(&mut [PollFd::new(&output.as_fd(), PollFlags::IN)], Some(&deadline)).unwrap();
        assert_eq!(ended, 1, "round {round}: a process that nobody knows of lives on");
    }
    assert!(seen.contains(&false), "no round was early enough");
}
