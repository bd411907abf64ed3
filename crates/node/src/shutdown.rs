//! The crate's coordinator as JavaScript holds it: `src/shutdown.ts` counts the handles and makes the promises.

use napi_derive::napi;
use shellflip_core::shutdown::Coordinator;

/// One of the crate's coordinators with one handle held. Collecting it fires only the crate's signal, which no
/// JavaScript listens to: `src/shutdown.ts` has its own.
#[napi]
#[derive(Default)]
pub struct NativeCoordinator {
    inner: Coordinator,
}

#[napi]
impl NativeCoordinator {
    /// Creates the coordinator and takes its handle.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the crate's shutdown; later calls change nothing.
    #[napi]
    pub fn begin(&mut self) {
        self.inner.begin();
    }

    /// The last handle of JavaScript is gone. True once the crate's shutdown has returned, false before `begin`.
    #[napi]
    pub fn let_go(&mut self) -> bool {
        self.inner.let_go()
    }
}
