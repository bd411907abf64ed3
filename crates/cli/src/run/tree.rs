//! Who is who among the processes below us. Decides, does nothing: every word and every end goes in, and the answer is
//! whether somebody still has to be waited for.
//!
//! The main process is the first one started, then whichever the main process names (`MAINPID=`): nobody else may speak
//! (NotifyAccess=main in systemd's words). While it starts another generation it says so (`X_SHELLFLIP_NEXT=0`), names that
//! one as soon as it has a process, and takes it back once that failed (an empty value): it becomes main if the main process
//! dies without a word.

use super::process::Process;
use super::sys::Status;
use super::words::Next;
use rustix::process::Pid;

/// The generations of the service.
#[derive(Debug, Default)]
pub struct Tree {
    main: Option<Process>,
    /// What the main process has begun to start, when it was last heard.
    next: Next<Process>,
    /// They drain.
    older: Vec<Process>,
    last: Option<Status>,
}

impl Tree {
    /// A first generation was started, another after the last has ended, or one that nobody has named goes on alone.
    pub fn started(&mut self, process: Process) {
        self.main = Some(process);
        self.next = Next::None;
    }

    /// The process that signals go to.
    pub fn main(&self) -> Option<&Process> {
        self.main.as_ref()
    }

    /// Whether this process is believed. An older generation is, of itself, when the one that replaced it has died while it
    /// had not let go: it serves again.
    pub fn believes(&self, sender: Pid, names: Option<Pid>) -> bool {
        match &self.main {
            Some(main) => main.pid() == sender,
            None => names == Some(sender) && self.older.iter().any(|older| older.pid() == sender),
        }
    }

    /// All that belong to the service, the main process first.
    pub fn all(&self) -> impl Iterator<Item = &Process> {
        self.main.iter().chain(self.next.named()).chain(&self.older)
    }

    /// The main process names its successor.
    pub fn succeeded_by(&mut self, process: Process) {
        if self.is_main(process.pid()) {
            return;
        }
        self.older.retain(|older| older.pid() != process.pid());
        self.older.extend(self.main.replace(process));
        self.next = Next::None;
    }

    /// What the main process starts.
    pub fn begins(&mut self, next: Next<Process>) {
        self.next = next.and_then(|process| Some(process).filter(|process| !self.is_main(process.pid())));
    }

    /// Whether the main process, which has ended, had begun to start a generation that it did not name, or that has ended.
    pub fn had_begun(&self) -> bool {
        self.main.is_none() && !matches!(self.next, Next::None)
    }

    /// A process has ended. `alive` tells whether another one lives. True: it was the main one and nobody follows it.
    pub fn ended(&mut self, pid: Pid, status: Status, alive: impl Fn(&Process) -> bool) -> bool {
        self.older.retain(|older| older.pid() != pid);
        self.next = std::mem::take(&mut self.next).and_then(|next| Some(next).filter(|next| next.pid() != pid));
        if !self.is_main(pid) {
            return false;
        }
        self.last = Some(status);
        self.main = None;
        match std::mem::take(&mut self.next).and_then(|next| Some(next).filter(&alive)) {
            Next::Named(next) => self.started(next),
            none => self.next = none,
        }
        self.main.is_none()
    }

    /// One that has ended without our being told. Whoever started a generation may go on and reap it: a launcher, while the
    /// old generation dies, or a program in between.
    pub fn vanished(&self, alive: impl Fn(&Process) -> bool) -> Option<Pid> {
        self.all().find(|process| !alive(process)).map(Process::pid)
    }

    fn is_main(&self, pid: Pid) -> bool {
        self.main.as_ref().is_some_and(|main| main.pid() == pid)
    }

    /// No generation is left.
    pub fn is_over(&self) -> bool {
        self.main.is_none() && self.older.is_empty()
    }

    /// How the newest generation that has ended did so.
    pub fn last(&self) -> Option<Status> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number).unwrap()
    }

    fn process(number: i32) -> Process {
        Process::child(pid(number))
    }

    fn all(tree: &Tree) -> Vec<i32> {
        tree.all().map(|process| process.pid().as_raw_nonzero().get()).collect()
    }

    const OK: Status = Status::Exited(0);

    #[test]
    fn a_named_successor_is_main_and_the_old_one_is_waited_for() {
        let mut tree = Tree::default();
        tree.started(process(10));
        tree.begins(Next::Named(process(11)));
        tree.succeeded_by(process(11));
        assert_eq!(all(&tree), [11, 10]);
        assert!(!tree.ended(pid(10), OK, |_| true));
        assert!(!tree.is_over());
        assert!(tree.ended(pid(11), Status::Exited(7), |_| true));
        assert!(tree.is_over());
        assert_eq!(tree.last().map(Status::code), Some(7));
    }

    #[test]
    fn the_exit_status_is_the_newest_generations_even_if_an_older_one_ends_later() {
        let mut tree = Tree::default();
        tree.started(process(10));
        tree.succeeded_by(process(11));
        assert!(tree.ended(pid(11), Status::Killed(9), |_| true));
        assert!(!tree.is_over());
        assert!(!tree.ended(pid(10), OK, |_| true));
        assert!(tree.is_over());
        assert_eq!(tree.last().map(Status::code), Some(137));
    }

    #[test]
    fn a_generation_that_initialises_follows_a_main_process_that_dies() {
        let mut tree = Tree::default();
        tree.started(process(10));
        tree.begins(Next::Named(process(11)));
        assert!(!tree.ended(pid(10), Status::Killed(9), |_| true));
        assert_eq!(all(&tree), [11]);
    }

    #[test]
    fn the_end_of_any_generation_may_be_anothers_to_see() {
        let mut tree = Tree::default();
        tree.started(process(10));
        tree.succeeded_by(process(11));
        tree.begins(Next::Named(process(12)));
        assert_eq!(tree.vanished(|_| true), None);
        for dead in [10, 11, 12] {
            assert_eq!(tree.vanished(|process| process.pid() != pid(dead)), Some(pid(dead)));
        }
    }

    #[test]
    fn one_that_failed_or_is_dead_already_follows_nobody() {
        for called_off in [true, false] {
            let mut tree = Tree::default();
            tree.started(process(10));
            tree.begins(Next::Named(process(11)));
            if called_off {
                tree.begins(Next::None);
            }
            assert!(tree.ended(pid(10), OK, |_| called_off));
            assert!(tree.is_over());
        }
    }

    #[test]
    fn one_that_has_begun_and_was_not_named_or_has_died_may_have_left_another() {
        for (next, begun) in [(Next::None, false), (Next::Unnamed, true), (Next::Named(process(11)), true)] {
            let mut tree = Tree::default();
            tree.started(process(10));
            tree.begins(next);
            assert!(!tree.had_begun(), "it lives");
            assert!(tree.ended(pid(10), OK, |_| false));
            assert_eq!(tree.had_begun(), begun);
            tree.started(process(12));
            assert!(!tree.had_begun());
        }
    }

    #[test]
    fn an_older_one_takes_back_what_a_dead_successor_had() {
        let mut tree = Tree::default();
        tree.started(process(10));
        tree.succeeded_by(process(11));
        assert!(!tree.believes(pid(10), Some(pid(10))));
        assert!(tree.ended(pid(11), Status::Killed(9), |_| true));
        assert!(!tree.believes(pid(99), Some(pid(99))));
        assert!(!tree.believes(pid(10), None));
        assert!(tree.believes(pid(10), Some(pid(10))));
        tree.succeeded_by(process(10));
        assert_eq!(all(&tree), [10]);
    }

    #[test]
    fn an_orphan_is_nobody() {
        let mut tree = Tree::default();
        tree.started(process(10));
        assert!(!tree.ended(pid(99), OK, |_| true));
        assert_eq!(all(&tree), [10]);
        assert_eq!(tree.last(), None);
    }
}
