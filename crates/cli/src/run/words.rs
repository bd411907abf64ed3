//! What a generation says (sd_notify(3)): which of it is for us, and what goes on to the service manager above.

use rustix::process::Pid;
use shellflip_core::notify::NEXT;
use std::str::Lines;

/// One datagram, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The service's main process is another one from now on.
    pub main: Option<Pid>,
    /// Another generation is being started, or none any more.
    pub next: Option<Next<Pid>>,
    /// The descriptors that came with it are for the store of the one above. All others are closed, by which a barrier is
    /// answered.
    pub stores: bool,
    /// For the service manager above us, of which we are the main process. Empty: nothing.
    pub above: String,
}

/// The generation that the main process starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Next<P> {
    /// There is none.
    #[default]
    None,
    /// It has no process yet, as far as is known.
    Unnamed,
    /// This one.
    Named(P),
}

impl<P> Next<P> {
    /// What is made of the one that is named; without a name where nothing is.
    pub fn and_then<Q>(self, make: impl FnOnce(P) -> Option<Q>) -> Next<Q> {
        match self {
            Next::None => Next::None,
            Next::Unnamed => Next::Unnamed,
            Next::Named(process) => make(process).map_or(Next::Unnamed, Next::Named),
        }
    }

    /// The one that is named.
    pub fn named(&self) -> Option<&P> {
        match self {
            Next::Named(process) => Some(process),
            Next::None | Next::Unnamed => None,
        }
    }
}

impl Words {
    /// `ending`: the service has been told to end; else a generation that stops does not stop the service.
    pub fn read(text: &str, ending: bool) -> Words {
        let mut words = Words::default();
        for (key, value) in assignments(text.lines()) {
            match key {
                "MAINPID" => words.main = pid(value),
                NEXT if value.is_empty() => words.next = Some(Next::None),
                NEXT => words.next = Some(pid(value).map_or(Next::Unnamed, Next::Named)),
                "BARRIER" => {}
                // The one above hears us and nobody else.
                "NOTIFYACCESS" | "MAINPIDFD" | "MAINPIDFDID" => {}
                "STOPPING" if !ending => {}
                _ => {
                    words.stores |= key == "FDSTORE";
                    if !words.above.is_empty() {
                        words.above.push('\n');
                    }
                    words.above.push_str(key);
                    words.above.push('=');
                    words.above.push_str(value);
                }
            }
        }
        words
    }
}

fn assignments(lines: Lines<'_>) -> impl Iterator<Item = (&str, &str)> {
    lines.filter_map(|line| line.split_once('='))
}

fn pid(value: &str) -> Option<Pid> {
    value.parse().ok().filter(|&number| number > 0).and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_processes_is_for_us_and_the_rest_goes_on() {
        let words = Words::read("MAINPID=12\nREADY=1\nSTATUS=generation 2: ready\n", false);
        assert_eq!(words.main, Pid::from_raw(12));
        assert_eq!(words.above, "READY=1\nSTATUS=generation 2: ready");
    }

    #[test]
    fn a_generation_that_stops_does_not_stop_the_service_unless_it_was_told_to() {
        assert_eq!(Words::read("STOPPING=1\nSTATUS=draining", false).above, "STATUS=draining");
        assert_eq!(Words::read("STOPPING=1", true).above, "STOPPING=1");
    }

    #[test]
    fn the_next_generation_is_named_and_called_off() {
        assert_eq!(Words::read("X_SHELLFLIP_NEXT=0", false).next, Some(Next::Unnamed));
        assert_eq!(Words::read("X_SHELLFLIP_NEXT=7", false).next, Pid::from_raw(7).map(Next::Named));
        assert_eq!(Words::read("X_SHELLFLIP_NEXT=", false).next, Some(Next::None));
        assert_eq!(Words::read("READY=1", false).next, None);
    }

    #[test]
    fn only_descriptors_for_the_store_go_on() {
        assert!(Words::read("FDSTORE=1\nFDNAME=web", false).stores);
        for other in ["BARRIER=1", "MAINPIDFD=1\nREADY=1", "FDSTOREREMOVE=1\nFDNAME=web"] {
            assert!(!Words::read(other, false).stores, "{other}");
        }
        assert_eq!(Words::read("BARRIER=1\nMAINPIDFD=1\nMAINPIDFDID=7\nNOTIFYACCESS=all", false).above, "");
    }

    #[test]
    fn nonsense_is_not_believed() {
        let words = Words::read("MAINPID=-1\nMAINPID=0\nMAINPID=x\nMAINPID=99999999999\nhello\n\n", false);
        assert_eq!(words, Words::default());
    }
}
