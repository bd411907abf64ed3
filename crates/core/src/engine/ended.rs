//! What is said of a new generation that ended before it owned the service: how, when, why as it said itself, and where
//! to look if it did not.

use crate::error::{Code, Failure};
use crate::spawn::Report;

/// An end.
pub(crate) struct Ended<'a> {
    pub generation: u32,
    pub how: &'a Report,
    /// In words, such as "while starting".
    pub when: &'a str,
    /// The error that it reported of itself.
    pub reason: Option<&'a str>,
    /// It had called shellflip().
    pub greeted: bool,
    /// Since its start.
    pub after_ms: u128,
}

impl Ended<'_> {
    /// "generation 3 exited with code 1 while starting: Error: Cannot find module './app.js' (12 ms)".
    pub fn failure(&self) -> Failure {
        let (how, hint) = match self.how {
            Report::Exited { code } => (format!("exited with code {code}"), self.exit_hint(*code)),
            Report::Signaled { signal } => (format!("was ended by {}", signal_name(*signal)), signal_hint(*signal)),
            _ => ("ended".into(), ""),
        };
        let Ended { generation, when, after_ms, .. } = self;
        let (reason, hint) = match self.reason {
            Some(reason) => (format!(": {}", summary(reason)), ""),
            None => (String::new(), hint),
        };
        let failure = Failure::new(
            Code::GenerationExited,
            format!("generation {generation} {how} {when}{reason} ({after_ms} ms){hint}"),
        );
        match self.how {
            Report::Exited { code } => Failure { exit_code: Some(*code), ..failure },
            Report::Signaled { signal } => Failure { signal: Some(*signal), ..failure },
            _ => failure,
        }
    }

    /// What to do about an exit code for which no reason was given.
    fn exit_hint(&self, code: i32) -> &'static str {
        match (code, self.greeted) {
            (0, _) => {
                ": it must go on running and call ready(); a command that only starts the service, such as `npm start`, \
                 cannot be the service"
            }
            (9, false) => ": see what it printed; to Node it means an option or NODE_OPTIONS that it does not know",
            (13, _) => ": to Node it means a top-level await that nothing can settle any more",
            (_, false) => " before it called shellflip(): see what it printed",
            (_, true) => ": see what it printed",
        }
    }
}

/// What to do about a signal for which no reason was given. The numbers are the same on every system.
fn signal_hint(signal: i32) -> &'static str {
    match signal {
        9 => ": by somebody, or by the kernel for want of memory (two generations need memory for two)",
        4 | 5 | 6 | 8 | 11 => {
            ": see what it printed; programs that run out of memory, threads or descriptors end like this"
        }
        _ => "",
    }
}

/// The first line, and the next one if the first only announces it.
pub(crate) fn summary(reason: &str) -> String {
    let mut lines = reason.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("an error without a message");
    match lines.next() {
        Some(second) if first.ends_with(':') => format!("{first} {second}"),
        _ => first.into(),
    }
}

/// The name of a signal of this platform, or its number.
fn signal_name(number: i32) -> String {
    const NAMES: [(i32, &str); 15] = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (5, "SIGTRAP"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (10, "SIGUSR1"),
        (11, "SIGSEGV"),
        (12, "SIGUSR2"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
    ];
    // Below 16 only SIGBUS, SIGUSR1 and SIGUSR2 have other numbers elsewhere; there the number must do.
    let known =
        NAMES.iter().find(|(value, _)| *value == number && (cfg!(target_os = "linux") || ![7, 10, 12].contains(value)));
    known.map_or_else(|| format!("signal {number}"), |(_, name)| (*name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(how: Report, reason: Option<&str>, greeted: bool) -> String {
        let ended = Ended { generation: 3, how: &how, when: "while starting", reason, greeted, after_ms: 12 };
        ended.failure().message
    }

    #[test]
    fn the_error_that_it_reported_is_the_reason() {
        let reason = Some("Error: Cannot find module './app.js'\nRequire stack:\n- /srv/app/server.js");
        assert_eq!(
            said(Report::Exited { code: 1 }, reason, false),
            "generation 3 exited with code 1 while starting: Error: Cannot find module './app.js' (12 ms)"
        );
        let assertion = "AssertionError: Expected values to be strictly equal:\n\n1 !== 2\n";
        assert_eq!(summary(assertion), "AssertionError: Expected values to be strictly equal: 1 !== 2");
        assert_eq!(summary("\n \n"), "an error without a message");
    }

    #[test]
    fn without_one_the_text_says_where_to_look() {
        let exited = |code, greeted| said(Report::Exited { code }, None, greeted);
        assert!(exited(1, false).ends_with("(12 ms) before it called shellflip(): see what it printed"));
        assert!(exited(7, true).ends_with("(12 ms): see what it printed"));
        assert!(exited(0, true).contains("must go on running and call ready()"));
        assert!(exited(13, true).contains("a top-level await that nothing can settle"));
        let killed = said(Report::Signaled { signal: 9 }, None, true);
        assert!(killed.starts_with("generation 3 was ended by SIGKILL while starting (12 ms): by somebody, or"));
        let stopped = said(Report::Signaled { signal: 15 }, None, true);
        assert_eq!(stopped, "generation 3 was ended by SIGTERM while starting (12 ms)");
    }

    #[test]
    fn code_and_signal_are_there_for_programs() {
        let of = |how| Ended { generation: 3, how: &how, when: "", reason: None, greeted: true, after_ms: 0 }.failure();
        let exited = of(Report::Exited { code: 7 });
        assert_eq!((exited.exit_code, exited.signal), (Some(7), None));
        let killed = of(Report::Signaled { signal: 9 });
        assert_eq!((killed.exit_code, killed.signal), (None, Some(9)));
        assert_eq!(of(Report::Gone).code, Some(Code::GenerationExited));
    }
}
