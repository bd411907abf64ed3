//! The handover pipe's reading end as JavaScript holds it.

use crate::convert::NativeFailure;
use crate::process::inherited_pipe;
use napi::Status;
use napi::bindgen_prelude::{BufferSlice, Either, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use shellflip_core::handover::{Read, Reader};
use std::sync::Arc;

type Callback = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Reads what the old generation hands over. Needs no engine.
#[napi]
pub struct HandoverReader {
    /// `None`: there is no such pipe.
    pipe: Option<Reader>,
    on_readable: Arc<Callback>,
}

#[napi]
impl HandoverReader {
    /// `onReadable` is what `wait()` calls; it does not keep the event loop alive.
    #[napi(constructor)]
    pub fn new(on_readable: Function<'_, (), ()>) -> napi::Result<Self> {
        let callback = on_readable.build_threadsafe_function().callee_handled::<false>().weak::<true>().build()?;
        Ok(HandoverReader { pipe: inherited_pipe(), on_readable: Arc::new(callback) })
    }

    /// Reads into that buffer, which must not be empty, and waits for nothing: the number of bytes, null at the end of the
    /// stream. 0: nothing at present, so `wait()`.
    #[napi]
    pub fn read(&self, mut into: BufferSlice<'_>) -> Option<Either<u32, NativeFailure>> {
        match self.pipe.as_ref().map_or(Ok(Read::End), |pipe| pipe.read(&mut into)) {
            Ok(Read::Bytes(bytes)) => Some(Either::A(bytes as u32)),
            Ok(Read::Nothing) => Some(Either::A(0)),
            Ok(Read::End) => None,
            Err(failure) => Some(Either::B(failure.into())),
        }
    }

    /// Has `onReadable` called once, when `read()` would give something else than 0.
    #[napi]
    pub fn wait(&self) {
        let callback = Arc::clone(&self.on_readable);
        let reply = Box::new(move || {
            // An environment that is being torn down takes no more calls; then there is nobody to tell.
            let _ = callback.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        match &self.pipe {
            Some(pipe) => pipe.wait(reply),
            None => reply(),
        }
    }
}
