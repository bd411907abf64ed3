//! `shellflip status`: the generations of a service, one a line.

use crate::trouble::Trouble;
use crate::{age, args, locate, output};
use serde_json::Value;
use shellflip_core::coordination::{Answer, Ask, Client};
use shellflip_core::{Code, Failure};
use std::io;
use std::path::Path;
use std::time::Duration;

/// A status is answered between two turns of the service's event loop.
const TIMEOUT: Duration = Duration::from_secs(5);

pub async fn run(options: args::Status) -> Result<(), Trouble> {
    let path = locate::socket(options.socket)?;
    let status = ask(&path, TIMEOUT).await?;
    if options.json {
        return output::print(&status.to_string());
    }
    output::print(&table(&status, output::is_terminal(&io::stdout())))
}

/// The status of the service there, if it comes within that time.
pub async fn ask(path: &Path, within: Duration) -> Result<Value, Trouble> {
    let mut client = Client::connect(path).await.map_err(Trouble::before)?;
    match client.ask(Ask::Status, within).await {
        Ok(Answer::Status(status)) => Ok(status),
        Ok(Answer::Failed(failure)) => Err(Trouble::answered(failure)),
        Ok(_) => Err(Trouble::nonsense()),
        Err(failure) if failure.errno == Some(rustix::io::Errno::CONNRESET.raw_os_error()) => {
            let pid = client.pid().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            let text = format!(
                "the service at {}{pid} runs but gives no status: services of the Rust crate have none",
                path.display()
            );
            Err(Trouble::before(Failure::new(Code::Unsupported, text)))
        }
        Err(mut failure) => {
            failure.message = format!(
                "the service at {} gave no status within {} s: it may be busy, stopped or hang",
                path.display(),
                within.as_secs()
            );
            Err(Trouble::before(failure))
        }
    }
}

const HEADINGS: [&str; 8] = ["GENERATION", "PHASE", "PID", "AGE", "LISTENERS", "CONNECTIONS", "IN FLIGHT", "MOVED"];
/// Numbers stand to the right.
const RIGHT: [bool; 8] = [true, false, true, true, false, true, true, true];

type Row = [String; 8];

fn table(status: &Value, colours: bool) -> String {
    let mut rows: Vec<Row> = vec![HEADINGS.map(str::to_owned), current(status)];
    if let Some(restart) = status.get("restart") {
        let next = status.get("generation").and_then(Value::as_u64).map(|generation| generation + 1);
        let phase = restart.get("phase").and_then(Value::as_str).unwrap_or("restarting");
        rows.push(other(next, phase, restart));
    }
    for old in list(status, "draining") {
        rows.push(other(old.get("generation").and_then(Value::as_u64), "draining", old));
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let lines = rows.iter().enumerate().map(|(index, row)| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            let painted =
                colour(index, column, cell).map_or_else(|| cell.clone(), |colour| output::paint(colours, colour, cell));
            if RIGHT[column] { pad + &painted } else { painted + &pad }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn colour(row: usize, column: usize, cell: &str) -> Option<&'static str> {
    match (row, column, cell) {
        (0, ..) => Some("2"),
        (_, 1, "ready") => Some("32"),
        (_, 1, _) => Some("33"),
        _ => None,
    }
}

fn current(status: &Value) -> Row {
    let listeners: Vec<String> = list(status, "listeners").iter().map(listener).collect();
    [
        number(status, "generation"),
        one_line(status.get("phase").and_then(Value::as_str).unwrap_or("-")),
        number(status, "pid"),
        time(status, "uptimeMs"),
        if listeners.is_empty() { "-".into() } else { listeners.join(", ") },
        number(status, "connections"),
        number(status, "inFlight"),
        number(status, "migrated"),
    ]
}

fn other(generation: Option<u64>, phase: &str, of: &Value) -> Row {
    let generation = generation.map_or_else(|| "-".into(), |generation| generation.to_string());
    let unknown = || "-".to_owned();
    let (pid, age) = (number(of, "pid"), time(of, "sinceMs"));
    [generation, one_line(phase), pid, age, unknown(), unknown(), unknown(), unknown()]
}

/// `web 127.0.0.1:8080`, or only the address if the listener has no other name.
fn listener(listener: &Value) -> String {
    let address = match listener.get("address") {
        Some(Value::String(path)) => path.clone(),
        Some(address) => {
            let host = address.get("address").and_then(Value::as_str).unwrap_or("?");
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            format!("{host}:{}", number(address, "port"))
        }
        None => "?".into(),
    };
    match listener.get("name").and_then(Value::as_str) {
        Some(name) if !name.is_empty() && name != address => one_line(&format!("{name} {address}")),
        _ => one_line(&address),
    }
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn number(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_u64).map_or_else(|| "-".into(), |number| number.to_string())
}

fn time(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_f64).map_or_else(|| "-".into(), |ms| age::of(ms as u64))
}

fn one_line(text: &str) -> String {
    output::clean(text).replace('\n', " ")
}
