//! What people and scripts read. A reader that has gone away is no error, and nothing from the wire reaches a terminal
//! as a control sequence.

use crate::trouble::{Exit, Trouble};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Prints lines on stdout.
pub fn print(text: &str) -> Result<(), Trouble> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Trouble::system("write", &e)),
        _ => Ok(()),
    }
}

/// Prints a note on stderr.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints a note on stderr if that takes it at once: for who must go on even if nobody reads.
pub fn aside(text: &str) {
    let stderr = io::stderr();
    // A pipe that is ready takes a line whole (pipe(7), PIPE_BUF).
    let full = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&Timespec::default())) == Ok(0);
    if !full {
        note(text);
    }
}

/// Prints why a command failed, and turns it into the exit code.
pub fn fail(trouble: &Trouble, json: bool) -> ExitCode {
    let message = clean(&trouble.failure.message);
    if json {
        let line = serde_json::json!({ "ok": false, "code": trouble.code(), "message": message });
        let _ = print(&line.to_string());
    } else {
        let error = paint(io::stderr().is_terminal(), "31", "shellflip:");
        let code = trouble.failure.code.filter(|_| trouble.exit != Exit::Usage);
        let code = code.map(|code| format!(" ({})", code.as_str())).unwrap_or_default();
        note(&format!("{error} {message}{code}"));
    }
    ExitCode::from(trouble.exit as u8)
}

/// Whether lines may be rewritten and coloured there.
pub fn is_terminal(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Colours a word, on a terminal whose user did not refuse it.
pub fn paint(terminal: bool, colour: &str, text: &str) -> String {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if terminal && !refused { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The text without control characters, but for the ends of its lines.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
