//! The crate's shutdown coordinator, driven by a caller that counts its handles itself.
//!
//! Invariant: one of the crate's handles is held from the start until `let_go`, so that `begin` never finds the
//! shutdown already over and taking a handle costs JavaScript no call. Nothing here waits: the crate's future can
//! only move when that one handle goes, so it is polled there and then, without a thread or a runtime.

use shellflip::{ShutdownCoordinator, ShutdownHandle, ShutdownSignal};
use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
};

type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The crate's coordinator and the one handle that stands for all of JavaScript's.
pub struct Coordinator {
    stage: Stage,
    held: Option<Arc<ShutdownHandle>>,
}

enum Stage {
    /// Handles may be taken; the crate's signal is silent.
    Open(ShutdownCoordinator),
    /// The crate's signal has fired; its `shutdown()` waits for the handle.
    Draining(Shutdown),
    /// Its `shutdown()` has returned.
    Over,
}

impl Coordinator {
    /// A coordinator whose handle is already taken.
    pub fn new() -> Self {
        let coordinator = ShutdownCoordinator::new();
        let held = Some(coordinator.handle());
        Coordinator { stage: Stage::Open(coordinator), held }
    }

    /// The crate's own signal, for tasks in Rust; `None` once the handle was let go. It fires on `begin`, and also if
    /// the coordinator is dropped: never drop one that JavaScript can still reach.
    pub fn signal(&self) -> Option<ShutdownSignal> {
        self.held.as_deref().map(ShutdownSignal::from)
    }

    /// Fires the signal and starts the crate's shutdown; later calls change nothing.
    pub fn begin(&mut self) {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Open(coordinator) => self.stage = Stage::Draining(Box::pin(coordinator.shutdown())),
            other => self.stage = other,
        }
        self.advance();
    }

    /// Says that the last of the caller's handles is gone. True once the crate's shutdown has returned; before
    /// `begin` it keeps the handle and is false.
    pub fn let_go(&mut self) -> bool {
        if !matches!(self.stage, Stage::Open(_)) {
            self.held = None;
            self.advance();
        }
        matches!(self.stage, Stage::Over)
    }

    /// Polls the crate's shutdown: nobody needs waking, since every step is taken here.
    fn advance(&mut self) {
        if let Stage::Draining(shutdown) = &mut self.stage
            && shutdown.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        {
            self.stage = Stage::Over;
        }
    }
}

impl Default for Coordinator {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Open(_) => "open",
            Stage::Draining(_) => "draining",
            Stage::Over => "over",
        };
        f.debug_struct("Coordinator").field("stage", &stage).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(signal: &mut ShutdownSignal) -> bool {
        let mut wait = Box::pin(signal.on_shutdown());
        wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn begin_fires_the_crates_signal_and_waits_for_the_handle() {
        let mut coordinator = Coordinator::new();
        let mut signal = coordinator.signal().unwrap();
        assert!(!fired(&mut signal));
        coordinator.begin();
        assert!(fired(&mut signal));
        assert_eq!(format!("{coordinator:?}"), r#"Coordinator { stage: "draining" }"#);
        assert!(coordinator.let_go());
    }

    #[test]
    fn begin_and_let_go_may_be_repeated() {
        let mut coordinator = Coordinator::new();
        coordinator.begin();
        coordinator.begin();
        assert!(coordinator.let_go());
        assert!(coordinator.let_go());
        coordinator.begin();
        assert!(coordinator.let_go());
    }

    #[test]
    fn letting_go_before_the_shutdown_keeps_it_open() {
        let mut coordinator = Coordinator::new();
        assert!(!coordinator.let_go());
        assert!(coordinator.signal().is_some());
        coordinator.begin();
        assert!(coordinator.let_go());
    }

    #[test]
    fn dropping_the_crates_coordinator_fires_its_signal_which_is_why_no_finaliser_may() {
        let coordinator = Coordinator::new();
        let mut signal = coordinator.signal().unwrap();
        drop(coordinator);
        assert!(fired(&mut signal));
    }
}
