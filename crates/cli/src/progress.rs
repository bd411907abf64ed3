//! One line on the terminal that says what a restart waits for. It ends, and is wiped, when its future is dropped.

use crate::output;
use serde_json::Value;
use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const REDRAW: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(150);
/// A service that is slow to say is asked again.
const STATUS: Duration = Duration::from_secs(1);

/// Shows the phase of the restart that was asked for at `started`; shows nothing if stderr is not a terminal.
pub async fn show(path: &Path, started: Instant) -> Infallible {
    if !output::is_terminal(&io::stderr()) {
        return std::future::pending().await;
    }
    let phase = RefCell::new(String::from("restarting"));
    tokio::select! {
        never = draw(&phase, started) => never,
        never = follow(&phase, path) => never,
    }
}

struct Line;

impl Drop for Line {
    fn drop(&mut self) {
        let _ = write!(io::stderr().lock(), "\r\x1b[K");
    }
}

async fn draw(phase: &RefCell<String>, started: Instant) -> Infallible {
    sleep(REDRAW).await;
    let _line = Line;
    loop {
        let seconds = started.elapsed().as_secs_f64();
        let _ = write!(io::stderr().lock(), "\r\x1b[K{}, {seconds:.1} s", phase.borrow());
        sleep(REDRAW).await;
    }
}

/// Asks the old generation, on connections of their own. A Rust service does not say: then it stays at the seconds.
async fn follow(phase: &RefCell<String>, path: &Path) -> Infallible {
    loop {
        match crate::status::ask(path, STATUS).await {
            Ok(status) => {
                if let Some(text) = describe(&status) {
                    phase.replace(text);
                }
            }
            Err(trouble) if trouble.code() == Some("ETIMEDOUT") => {}
            Err(_) => return std::future::pending().await,
        }
        sleep(POLL).await;
    }
}

fn describe(status: &Value) -> Option<String> {
    let restart = status.get("restart")?;
    let phase = output::clean(restart.get("phase")?.as_str()?).replace('\n', " ");
    let pid = restart.get("pid").and_then(Value::as_u64);
    Some(pid.map_or_else(|| phase.clone(), |pid| format!("{phase} (pid {pid})")))
}
