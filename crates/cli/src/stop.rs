//! `shellflip stop`: returns when the service's process, and those of its generations that still drain, have ended.

use crate::trouble::Trouble;
use crate::{args, locate, output, status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde_json::Value;
use shellflip_core::Failure;
use shellflip_core::coordination::{Answer, Ask, Client, Probe, probe};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// How often to look whether a process has ended.
const LOOK: Duration = Duration::from_millis(50);
/// A service too busy to say which generations still drain is stopped all the same.
const STATUS: Duration = Duration::from_secs(1);

pub async fn run(options: args::Stop) -> Result<(), Trouble> {
    let path = locate::socket(options.socket)?;
    let started = Instant::now();
    let stopping = async {
        tokio::select! {
            done = timeout(options.timeout, stop(&path, options.timeout)) => done,
            _ = tokio::signal::ctrl_c() => {
                Ok(Err(Trouble::interrupted("interrupted; the service goes on stopping if it had been asked")))
            }
        }
    };
    let Ok(stopped) = stopping.await else {
        let seconds = options.timeout.as_secs_f64();
        let message = format!("not ended within {seconds} s; the service goes on draining: see `shellflip status`");
        return Err(Trouble::unknown(Failure { message, ..Failure::system("read", &Errno::TIMEDOUT.into()) }));
    };
    let pid = stopped?;
    output::print(&format!("stopped (pid {pid}, {:.1} s)", started.elapsed().as_secs_f64()))?;
    if let Probe::Live(Some(next)) = probe(&path) {
        output::note(&format!("process {next} answers {} now: it was started meanwhile", path.display()));
    }
    Ok(())
}

async fn stop(path: &Path, within: Duration) -> Result<u32, Trouble> {
    // Before there is another connection: a Rust service hears one client after the other.
    let status = status::ask(path, STATUS).await.unwrap_or_default();
    let mut client = Client::connect(path).await.map_err(Trouble::before)?;
    let ends = processes(&status, client.pid());
    let pid = match client.ask(Ask::Stop, within).await {
        Ok(Answer::Stopping(pid)) => pid,
        Ok(Answer::Failed(failure)) => return Err(Trouble::answered(failure)),
        Ok(_) => return Err(Trouble::nonsense()),
        Err(mut failure) if failure.errno == Some(Errno::CONNRESET.raw_os_error()) => {
            failure.message += "; a service of the Rust crate cannot be stopped this way: send it its own signal";
            return Err(Trouble::before(failure));
        }
        Err(failure) => return Err(Trouble::unknown(failure)),
    };
    client.closed().await;
    for end in ends {
        end.wait().await;
    }
    Ok(pid)
}

/// Every process of the service there is, opened before any of them may end and its number be used again.
fn processes(status: &Value, main: Option<u32>) -> Vec<End> {
    let Some(main) = main else { return Vec::new() };
    let pid = |of: &Value| of.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
    let mut pids = vec![main];
    // In another pid namespace its numbers would mean other processes here.
    if pid(status) == Some(main) {
        pids.extend(status.get("restart").and_then(pid));
        pids.extend(status.get("draining").and_then(Value::as_array).into_iter().flatten().filter_map(pid));
    }
    pids.into_iter().filter_map(End::of).collect()
}

/// A process whose end is awaited.
struct End {
    pid: Pid,
    /// Readable once it has ended; None where the kernel has no such thing.
    handle: Option<OwnedFd>,
}

impl End {
    /// None if there is no such process any more.
    fn of(pid: u32) -> Option<End> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        match handle(pid) {
            Err(Errno::SRCH) => None,
            opened => Some(End { pid, handle: opened.ok() }),
        }
    }

    async fn wait(self) {
        while !self.came() {
            sleep(LOOK).await;
        }
    }

    fn came(&self) -> bool {
        let Some(handle) = &self.handle else { return test_kill_process(self.pid) == Err(Errno::SRCH) };
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

#[cfg(target_os = "linux")]
fn handle(pid: Pid) -> Result<OwnedFd, Errno> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
}

#[cfg(not(target_os = "linux"))]
fn handle(pid: Pid) -> Result<OwnedFd, Errno> {
    test_kill_process(pid).and(Err(Errno::NOSYS))
}
