//! What is said, and to a service manager with `Type=notify-reload` when a restart is refused.

use super::*;
use crate::engine::{Event, Options, Shared};
use crate::error::Code;
use crate::successor;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

#[test]
fn the_status_is_one_line_and_says_only_what_is_new() {
    let report = Report { phase: "ready".into(), connections: 1, ..Report::default() };
    let mut manager = Manager { report, ..Manager::default() };
    assert_eq!(manager.news(2).as_deref(), Some("STATUS=generation 2: ready, 1 connection"));
    assert_eq!(manager.news(2), None);
    manager.report.connections = 3;
    manager.failed = Some("it said\tno".into());
    let said = manager.news(2).unwrap_or_default();
    assert_eq!(said, "STATUS=generation 2: ready, 3 connections; the last restart failed: it said no");
}

/// A generation of a unit of `Type=notify-reload`, what it tells its service manager, and what it tells JavaScript.
struct Told {
    running: Running,
    events: Arc<Mutex<Vec<Event>>>,
    manager: UnixDatagram,
    _directory: tempfile::TempDir,
    _commands: mpsc::UnboundedReceiver<Command>,
}

impl Told {
    fn new(old: successor::Old) -> Told {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let events = Arc::new(Mutex::new(vec![]));
        let (commands, received) = mpsc::unbounded_channel();
        let heard = Arc::clone(&events);
        let shared = Arc::new(Shared::new(2, Default::default()));
        let sink = Arc::new(move |event| heard.lock().unwrap().push(event));
        let running = Running {
            manager: Manager { notifier: Notifier::new(Some(path)), reload: true, ..Manager::default() },
            ..Running::new(Options::default(), sink, shared, commands, mpsc::unbounded_channel().0, old)
        };
        Told { running, events, manager, _directory: directory, _commands: received }
    }

    /// One that serves; `owning` if the service is its own as well, so that it may restart.
    fn serving(owning: bool) -> Told {
        let mut told = Told::new(successor::Old::Ours);
        for event in [successor::Event::Ready, successor::Event::Commit, successor::Event::Serving] {
            told.running.succeed(event);
        }
        if owning {
            told.owns();
        }
        told.said();
        told
    }

    /// What the service manager was told since the last time; the time of RELOADING must be there, and is left out.
    fn said(&mut self) -> Vec<String> {
        let mut bytes = [0; 1024];
        let mut said = vec![];
        while let Ok(length) = self.manager.recv(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            said.push(match text.split_once("RELOADING=1\nMONOTONIC_USEC=") {
                Some(("", time)) if time.parse().is_ok_and(|usec: u64| usec > 0) => "RELOADING".into(),
                _ => text,
            });
        }
        said
    }

    fn owns(&mut self) {
        self.running.succeed(successor::Event::Adopted);
        self.running.succeed(successor::Event::LetGo);
    }

    fn begun(&self) -> u32 {
        self.running.attempts
    }
}

#[tokio::test]
async fn a_reload_that_comes_before_the_service_is_ours_waits_until_it_is() {
    let mut told = Told::serving(false);
    told.running.request(Asker::Nobody);
    told.running.request(Asker::Nobody);
    assert_eq!((told.begun(), told.said()), (0, vec![]));
    assert!(!told.events.lock().unwrap().iter().any(|event| matches!(event, Event::Warning { .. })));

    told.running.succeed(successor::Event::Adopted);
    told.running.request(Asker::Nobody);
    assert_eq!((told.begun(), told.said()), (0, vec!["STATUS=generation 2: ready, 0 connections".into()]));

    told.running.succeed(successor::Event::LetGo);
    assert_eq!((told.begun(), told.said()), (1, vec!["RELOADING".into(), "X_SHELLFLIP_NEXT=0".into()]));
    assert!(matches!(told.events.lock().unwrap()[..], [.., Event::Adopted, Event::Prepare { attempt: 1, .. }]));
}

#[tokio::test]
async fn whoever_else_asks_then_is_refused_at_once() {
    let mut told = Told::serving(false);
    told.running.request(Asker::Local(7));
    let refused = |event: &Event| {
        let Event::Outcome { id: 7, failure: Some(failure), .. } = event else { return false };
        failure.code == Some(Code::RestartInProgress)
    };
    assert!(told.events.lock().unwrap().iter().any(refused));

    told.running.manager.reload = false;
    told.running.request(Asker::Nobody);
    assert!(matches!(told.events.lock().unwrap().last(), Some(Event::Warning { .. })));
    told.owns();
    assert_eq!(told.begun(), 0);
}

#[tokio::test]
async fn a_reload_refused_during_a_restart_is_answered_when_that_is_over() {
    let mut told = Told::serving(true);
    told.running.request(Asker::Local(1));
    assert_eq!(told.said(), ["RELOADING", "X_SHELLFLIP_NEXT=0"]);
    told.running.request(Asker::Nobody);
    assert_eq!((told.begun(), told.said()), (1, vec!["RELOADING".into()]), "no READY yet");

    told.running.step(restart::Event::HookFailed(Failure::new(Code::SpawnFailed, "no disk")));
    let ready = "READY=1\nSTATUS=generation 2: ready, 0 connections; the last restart failed: no disk\nERRNO=125";
    assert!(told.said().contains(&ready.into()));
}

#[tokio::test]
async fn no_refusal_says_ready_where_that_would_be_a_lie() {
    let mut starting = Told::new(successor::Old::None);
    starting.running.request(Asker::Nobody);
    let mut inheriting = Told::new(successor::Old::Ours);
    inheriting.running.request(Asker::Nobody);
    let mut draining = Told::serving(true);
    draining.running.step(restart::Event::Shutdown);
    assert_eq!(draining.said(), ["STOPPING=1"]);
    draining.running.request(Asker::Nobody);
    for mut told in [starting, inheriting, draining] {
        assert_eq!(told.said(), Vec::<String>::new());
        assert!(matches!(told.events.lock().unwrap().last(), Some(Event::Warning { .. })));
    }
}
