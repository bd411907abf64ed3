//! Real launchers, real programs (on Linux, whose /proc shows what is asserted). Each waits for reports and ends of pipes, never for time.

use super::*;
use crate::Code;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Command, Stdio};

mod environment;
mod faults;
mod life;

/// A shell that runs this.
fn shell(script: &str) -> Spec {
    Spec {
        file: "/bin/sh".into(),
        args: ["sh", "-c", script].map(OsString::from).into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        pid_bound: Vec::new(),
        cwd: "/".into(),
        pass: Vec::new(),
    }
}

fn launch(spec: Spec) -> Running {
    start(&prepare().unwrap(), spec).unwrap().into_async().unwrap()
}

/// A shell whose descriptor 3 is the pipe that is returned.
fn launch_writing(mut spec: Spec) -> (Running, PipeReader) {
    let (output, theirs) = pipe().unwrap();
    spec.pass.insert(0, theirs.into());
    (launch(spec), output)
}

/// A shell that lives until it is killed or the other pipe is closed: it says "up" on descriptor 3 and reads from 4.
fn launch_living(script: &str) -> (Running, PipeReader, PipeWriter) {
    let (theirs, input) = pipe().unwrap();
    let mut spec = shell(&format!("echo up >&3; {script} read line <&4"));
    spec.pass.push(theirs.into());
    let (running, mut output) = launch_writing(spec);
    let mut up = [0; 3];
    output.read_exact(&mut up).unwrap();
    (running, output, input)
}

async fn started(running: &mut Running) -> u32 {
    match running.next().await {
        Report::Started { pid } => {
            assert_eq!(running.pid(), Some(pid));
            pid
        }
        report => panic!("not started: {report:?}"),
    }
}

/// What it wrote to descriptor 3 until it closed it, and its last report.
async fn output(spec: Spec) -> (Vec<u8>, Report) {
    let (mut running, mut output) = launch_writing(spec);
    started(&mut running).await;
    let mut text = Vec::new();
    output.read_to_end(&mut text).unwrap();
    (text, running.next().await)
}

async fn text(spec: Spec) -> String {
    let (text, report) = output(spec).await;
    assert_eq!(report, Report::Exited { code: 0 });
    String::from_utf8(text).unwrap()
}

/// A line of /proc/PID/status, without its name.
fn status(pid: u32, line: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let found = status.lines().find_map(|candidate| candidate.strip_prefix(line)?.strip_prefix(':'));
    found.unwrap().trim().into()
}

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Whether that process of ours is there at all, a zombie included.
fn exists(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}
