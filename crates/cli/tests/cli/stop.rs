use crate::fake::Fake;
use crate::run;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn it_returns_when_the_process_has_ended() {
    let mut fake = Fake::start("ready");
    let started = Instant::now();
    let told = run(&["stop"], &fake.socket());
    assert!(started.elapsed() >= Duration::from_millis(300), "it takes that long to end");
    assert_eq!((told.code, &*told.err), (Some(0), ""));
    assert!(told.out.starts_with(&format!("stopped (pid {}, ", fake.pid())), "{told:?}");
    assert!(fake.child.try_wait().unwrap().is_some(), "it is gone by now");
    assert!(!fake.socket().exists());
}

#[test]
fn it_waits_for_the_generations_that_still_drain() {
    let mut draining = Command::new("sleep").arg("1").stdout(Stdio::null()).spawn().unwrap();
    let fake = Fake::with_draining("ready", draining.id());
    let told = run(&["stop"], &fake.socket());
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(draining.try_wait().unwrap().is_some(), "the draining one has ended too");
}

#[test]
fn a_slow_one_is_left_to_its_drain() {
    let mut fake = Fake::start("hangs");
    let told = run(&["stop", "--timeout", "0.3"], &fake.socket());
    assert_eq!((told.code, &*told.out), (Some(5), ""));
    assert!(told.err.contains("goes on draining"), "{told:?}");
    assert!(fake.child.try_wait().unwrap().is_none());
}

#[test]
fn a_refusal_is_told() {
    let fake = Fake::start("DRAINING");
    let told = run(&["stop"], &fake.socket());
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("it ends already") && told.err.contains("ERR_SHELLFLIP_DRAINING"), "{told:?}");
    let fake = Fake::start("rust");
    let told = run(&["stop"], &fake.socket());
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("signal"), "{told:?}");
}
