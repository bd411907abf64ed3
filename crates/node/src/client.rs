//! The asking side of the coordination socket as JavaScript holds it.

use crate::convert::NativeFailure;
use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use shellflip_core::Failure;
use shellflip_core::coordination::{self, Session};
use std::path::Path;
use std::time::Duration;

/// How connecting, or a restart, went. No failure: well.
#[napi(object)]
pub struct NativeReply {
    /// The new generation's process.
    pub pid: Option<u32>,
    /// Why there is none.
    pub failure: Option<NativeFailure>,
}

impl NativeReply {
    fn of(outcome: Result<Option<u32>, Failure>) -> Self {
        match outcome {
            Ok(pid) => NativeReply { pid, failure: None },
            Err(failure) => NativeReply { pid: None, failure: Some(failure.into()) },
        }
    }
}

type Callback = ThreadsafeFunction<NativeReply, (), NativeReply, Status, false, true>;

/// Hands one reply over. It does not keep the event loop alive.
fn handing(on_reply: &Function<'_, NativeReply, ()>) -> napi::Result<impl FnOnce(NativeReply) + Send + 'static> {
    let callback: Callback = on_reply.build_threadsafe_function().callee_handled::<false>().weak::<true>().build()?;
    Ok(move |reply| {
        // An environment that is being torn down takes no more calls; then there is nobody to tell.
        let _ = callback.call(reply, ThreadsafeFunctionCallMode::NonBlocking);
    })
}

fn limit(timeout_ms: u32) -> Duration {
    if timeout_ms == 0 { Duration::MAX } else { Duration::from_millis(timeout_ms.into()) }
}

/// A connection to a service's coordination socket, good for one restart command. Collecting it hangs up: whoever waits
/// for a reply must hold it.
#[napi]
pub struct RestartClient {
    session: Option<Session>,
}

#[napi]
impl RestartClient {
    /// Connects; the reply says whether that went well. Throws if the system gives no thread.
    #[napi(constructor, ts_args_type = "path: string, onConnected: (reply: NativeReply) => void")]
    pub fn new(path: String, on_connected: Function<'_, NativeReply, ()>) -> napi::Result<Self> {
        let hand = handing(&on_connected)?;
        let connected = move |outcome: Result<(), Failure>| hand(NativeReply::of(outcome.map(|()| None)));
        let session = Session::open(path.into(), Box::new(connected))
            .map_err(|failure| napi::Error::from_reason(failure.message))?;
        Ok(RestartClient { session: Some(session) })
    }

    /// Asks for a restart and waits for the outcome; timeout 0: for ever. Once closed it never replies.
    #[napi(ts_args_type = "timeoutMs: number, onRestarted: (reply: NativeReply) => void")]
    pub fn restart(&mut self, timeout_ms: u32, on_restarted: Function<'_, NativeReply, ()>) -> napi::Result<()> {
        let hand = handing(&on_restarted)?;
        if let Some(session) = &mut self.session {
            session.restart(limit(timeout_ms), Box::new(move |outcome| hand(NativeReply::of(outcome.map(Some)))));
        }
        Ok(())
    }

    /// Hangs up. The service goes on with what it was asked.
    #[napi]
    pub fn close(&mut self) {
        self.session = None;
    }
}

/// Asks for a restart and blocks this thread until the outcome is known; timeout 0: for ever.
#[napi]
pub fn restart_blocking(path: String, timeout_ms: u32) -> NativeReply {
    NativeReply::of(coordination::restart_blocking(Path::new(&path), limit(timeout_ms)).map(Some))
}
