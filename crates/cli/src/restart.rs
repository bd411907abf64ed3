//! `shellflip restart`: returns when the new generation serves, not when the old one has drained.

use crate::trouble::Trouble;
use crate::{args, locate, output, progress, status};
use serde_json::{Value, json};
use shellflip_core::Code;
use shellflip_core::coordination::{Answer, Ask, Client};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the generation's number is worth waiting for. Whoever does not know the question closes at once, and for a
/// blocked event loop the engine answers: only a machine that lets nobody run takes seconds.
const STATUS: Duration = Duration::from_secs(10);

pub async fn run(options: args::Restart) -> Result<(), Trouble> {
    let path = locate::socket(options.socket)?;
    let mut client = Client::connect(&path).await.map_err(Trouble::before)?;
    let started = Instant::now();
    let answer = tokio::select! {
        answer = client.ask(Ask::Restart, options.timeout) => answer,
        _ = tokio::signal::ctrl_c() => {
            let text = "interrupted; the restart goes on, and its outcome is unknown: see `shellflip status`";
            return Err(Trouble::interrupted(text));
        }
        never = progress::show(&path, started) => match never {},
    };
    let duration = started.elapsed().as_millis();
    let pid = match answer {
        Ok(Answer::Complete(pid)) => pid,
        Ok(Answer::Failed(failure)) => return Err(refused(Trouble::answered(failure), options.json)),
        Ok(_) => return Err(Trouble::nonsense()),
        Err(mut failure) => {
            failure.message = format!("the outcome of the restart is unknown: {}", failure.message);
            return Err(Trouble::unknown(failure));
        }
    };
    let generation = generation(&path, pid).await;
    if options.json {
        let mut line = json!({ "ok": true, "pid": pid, "durationMs": duration });
        if let Some(generation) = generation {
            line["generation"] = generation.into();
        }
        return output::print(&line.to_string());
    }
    let name = generation.map(|number| format!("generation {number} is ")).unwrap_or_default();
    output::print(&format!("{name}ready (pid {pid}, {duration} ms)"))
}

fn refused(mut trouble: Trouble, json: bool) -> Trouble {
    if !json {
        let outlook = match trouble.failure.code {
            Some(Code::Draining) => "not restarted",
            _ => "not restarted, the service goes on",
        };
        trouble.failure.message = format!("{outlook}: {}", trouble.failure.message);
    }
    trouble
}

/// The crate's answer has no room for it, so the new generation is asked; one of the Rust crate does not know.
async fn generation(path: &Path, pid: u32) -> Option<u64> {
    let status = status::ask(path, STATUS).await.ok()?;
    let same = status.get("pid").and_then(Value::as_u64) == Some(pid.into());
    status.get("generation").and_then(Value::as_u64).filter(|_| same)
}
