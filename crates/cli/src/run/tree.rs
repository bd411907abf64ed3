//! Who is who among the processes below us. Decides, does nothing: every word and every end goes in, and the answer is
//! whether somebody still has to be waited for.
//!
//! The main process is the first one started, then whichever the main process names (`MAINPID=`): nobody else may speak
//! (NotifyAccess=main in systemd's words). While it starts another generation it names that one, too
//! (`X_SHELLFLIP_NEXT=`, empty once that failed), which becomes main if the main process dies without a word.

use super::sys::Status;
use rustix::process::Pid;

/// The generations of the service.
#[derive(Debug, Default)]
pub struct Tree {
    main: Option<Pid>,
    next: Option<Pid>,
    /// They drain.
    older: Vec<Pid>,
    last: Option<Status>,
}

impl Tree {
    /// A first generation was started, or another after the last has ended.
    pub fn started(&mut self, pid: Pid) {
        self.main = Some(pid);
        self.next = None;
    }

    /// The process that signals go to.
    pub fn main(&self) -> Option<Pid> {
        self.main
    }

    /// Whether this process is believed. An older generation is, of itself, when the one that replaced it has died while it
    /// had not let go: it serves again.
    pub fn believes(&self, sender: Pid, names: Option<Pid>) -> bool {
        match self.main {
            Some(main) => main == sender,
            None => names == Some(sender) && self.older.contains(&sender),
        }
    }

    /// All that belong to the service, the main process first.
    pub fn all(&self) -> impl Iterator<Item = Pid> + '_ {
        self.main.into_iter().chain(self.next).chain(self.older.iter().copied())
    }

    /// The main process names its successor.
    pub fn succeeded_by(&mut self, pid: Pid) {
        if self.main == Some(pid) {
            return;
        }
        self.older.extend(self.main.replace(pid));
        self.older.retain(|&older| older != pid);
        self.next = None;
    }

    /// The main process has begun another generation, or none any more.
    pub fn begins(&mut self, pid: Option<Pid>) {
        self.next = pid.filter(|&pid| self.main != Some(pid));
    }

    /// A process has ended. `alive` tells whether another one lives. True: it was the main one and nobody follows it.
    pub fn ended(&mut self, pid: Pid, status: Status, alive: impl Fn(Pid) -> bool) -> bool {
        self.older.retain(|&older| older != pid);
        if self.next == Some(pid) {
            self.next = None;
        }
        if self.main != Some(pid) {
            return false;
        }
        self.last = Some(status);
        self.main = self.next.take().filter(|&next| alive(next));
        self.main.is_none()
    }

    /// A main process that took over from a dead one may be reaped by the launcher that started it: then its end is not
    /// ours to see.
    pub fn vanished(&self, alive: impl Fn(Pid) -> bool) -> Option<Pid> {
        self.main.filter(|&main| !alive(main))
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

    fn all(tree: &Tree) -> Vec<i32> {
        tree.all().map(|pid| pid.as_raw_nonzero().get()).collect()
    }

    const OK: Status = Status::Exited(0);

    #[test]
    fn a_named_successor_is_main_and_the_old_one_is_waited_for() {
        let mut tree = Tree::default();
        tree.started(pid(10));
        tree.begins(Some(pid(11)));
        tree.succeeded_by(pid(11));
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
        tree.started(pid(10));
        tree.succeeded_by(pid(11));
        assert!(tree.ended(pid(11), Status::Killed(9), |_| true));
        assert!(!tree.is_over());
        assert!(!tree.ended(pid(10), OK, |_| true));
        assert!(tree.is_over());
        assert_eq!(tree.last().map(Status::code), Some(137));
    }

    #[test]
    fn a_generation_that_initialises_follows_a_main_process_that_dies() {
        let mut tree = Tree::default();
        tree.started(pid(10));
        tree.begins(Some(pid(11)));
        assert!(!tree.ended(pid(10), Status::Killed(9), |_| true));
        assert_eq!(tree.main(), Some(pid(11)));
        assert_eq!(tree.vanished(|_| false), Some(pid(11)));
    }

    #[test]
    fn one_that_failed_or_is_dead_already_follows_nobody() {
        for called_off in [true, false] {
            let mut tree = Tree::default();
            tree.started(pid(10));
            tree.begins(Some(pid(11)));
            if called_off {
                tree.begins(None);
            }
            assert!(tree.ended(pid(10), OK, |_| called_off));
            assert!(tree.is_over());
        }
    }

    #[test]
    fn an_older_one_takes_back_what_a_dead_successor_had() {
        let mut tree = Tree::default();
        tree.started(pid(10));
        tree.succeeded_by(pid(11));
        assert!(!tree.believes(pid(10), Some(pid(10))));
        assert!(tree.ended(pid(11), Status::Killed(9), |_| true));
        assert!(!tree.believes(pid(99), Some(pid(99))));
        assert!(!tree.believes(pid(10), None));
        assert!(tree.believes(pid(10), Some(pid(10))));
        tree.succeeded_by(pid(10));
        assert_eq!(all(&tree), [10]);
    }

    #[test]
    fn an_orphan_is_nobody() {
        let mut tree = Tree::default();
        tree.started(pid(10));
        assert!(!tree.ended(pid(99), OK, |_| true));
        assert_eq!(all(&tree), [10]);
        assert_eq!(tree.last(), None);
    }
}
