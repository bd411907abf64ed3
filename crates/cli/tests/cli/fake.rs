//! A service in a process of its own: this test program again, told by its environment what to be.

use serde_json::json;
use shellflip::restart_coordination_socket::{RestartCoordinationSocket, RestartMessage, RestartResponse};
use shellflip_core::coordination::{Answer, Ask, Question, Server, Unanswered, bind};
use shellflip_core::{Code, Failure};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// A running fake service.
pub struct Fake {
    pub directory: TempDir,
    pub child: Child,
}

impl Fake {
    pub fn start(kind: &str) -> Fake {
        let directory = tempfile::tempdir().unwrap();
        let child = listening(&mut command(kind, &directory.path().join("s.sock")));
        Fake { directory, child }
    }

    /// One whose status names a generation that still drains.
    pub fn with_draining(kind: &str, pid: u32) -> Fake {
        let directory = tempfile::tempdir().unwrap();
        let mut command = command(kind, &directory.path().join("s.sock"));
        let child = listening(command.env("FAKE_DRAINING", pid.to_string()));
        Fake { directory, child }
    }

    /// One on a socket of the caller's.
    pub fn at(socket: &Path) -> Fake {
        Fake { directory: tempfile::tempdir().unwrap(), child: listening(&mut command("ready", socket)) }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("s.sock")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(kind: &str, socket: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["fake::service", "--exact", "--ignored", "--nocapture"]);
    command.env("FAKE_KIND", kind).env("FAKE_SOCKET", socket).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Starts it and waits until it listens.
fn listening(command: &mut Command) -> Child {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.ends_with("listening")), "the fake service did not start");
    child
}

#[test]
#[ignore = "not a test: the service that the others talk to"]
fn service() {
    let kind = std::env::var("FAKE_KIND").unwrap();
    let socket = PathBuf::from(std::env::var_os("FAKE_SOCKET").unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match &*kind {
        "rust" => runtime.block_on(rust_service(&socket)),
        kind => runtime.block_on(our_service(kind, &socket)),
    }
}

async fn our_service(kind: &str, socket: &Path) {
    let bound = bind(socket).unwrap();
    let (sender, mut questions) = mpsc::unbounded_channel();
    let _server = Server::start(&bound, sender, &Unanswered::default()).unwrap();
    println!("listening");
    let mut phase = None;
    while let Some(Question { ask, reply }) = questions.recv().await {
        match (ask, kind) {
            (Ask::Status, "busy") | (Ask::Restart, "hangs") => std::mem::forget(reply),
            (Ask::Status, _) => drop(reply.send(Answer::Status(status(phase)))),
            (Ask::Restart, "slow") => {
                phase = Some("waiting for ready");
                tokio::spawn(async move {
                    sleep(Duration::from_millis(600)).await;
                    let _ = reply.send(Answer::Complete(std::process::id()));
                });
            }
            (Ask::Restart, "closes") => drop(reply),
            (Ask::Restart, kind) => {
                let refused = Code::ALL.iter().find(|code| code.as_str().ends_with(kind));
                let failure = refused.map(|&code| Failure::new(code, "the reason, \x1b[31mred"));
                let _ = reply.send(failure.map_or(Answer::Complete(std::process::id()), Answer::Failed));
            }
            (Ask::Stop, "DRAINING") => {
                drop(reply.send(Answer::Failed(Failure::new(Code::Draining, "it ends already"))))
            }
            (Ask::Stop, kind) => {
                let _ = reply.send(Answer::Stopping(std::process::id()));
                sleep(Duration::from_millis(if kind == "hangs" { 60_000 } else { 300 })).await;
                bound.unlink();
                // At once, as nobody reads what the test harness would say.
                std::process::exit(0);
            }
        }
    }
}

fn status(phase: Option<&str>) -> serde_json::Value {
    let mut status = json!({
        "pid": std::process::id(), "generation": 4, "phase": "ready", "uptimeMs": 243_000, "socket": "s",
        "listeners": [
            { "name": "web", "address": { "address": "::1", "family": "IPv6", "port": 8080 } },
            { "name": "/run/web.sock", "address": "/run/web.sock" },
        ],
        "connections": 12, "inFlight": 3, "migrated": 0, "draining": [],
    });
    if let Some(pid) = std::env::var("FAKE_DRAINING").ok().and_then(|pid| pid.parse::<u32>().ok()) {
        status["draining"] = json!([{ "pid": pid, "generation": 3, "sinceMs": 4_200 }]);
    }
    if let Some(phase) = phase {
        status["restart"] = json!({ "phase": phase, "pid": 4321, "sinceMs": 100 });
    }
    status
}

/// As the crate does it: one client at a time, closed on anything but TryRestart.
async fn rust_service(socket: &Path) {
    let listener = tokio::net::UnixListener::bind(socket).unwrap();
    println!("listening");
    while let Ok((stream, _)) = listener.accept().await {
        let mut socket = RestartCoordinationSocket::new(stream);
        if let Ok(RestartMessage::Request(_)) = socket.receive_message().await {
            let response = RestartResponse::RestartComplete(std::process::id());
            let _ = socket.send_message(RestartMessage::Response(response)).await;
        }
    }
}
