//! A socket in the event loop of a runtime that gives no handle to it (Bun): `src/bun-adopt.ts` decides what is done.

use napi_derive::napi;
use shellflip_core::{Failure, sys, watched};

/// A socket that the runtime watches. It is the runtime's; collecting this changes nothing.
#[napi]
pub struct Watched {
    inner: watched::Watched,
}

#[napi]
impl Watched {
    /// Finds the socket behind `fd` in the runtime's event loop, and makes the runtime look away. Throws, with the reason,
    /// if it is not there exactly once.
    #[napi(factory)]
    pub fn pause(fd: i32) -> napi::Result<Self> {
        watched::Watched::pause(fd).map(|inner| Watched { inner }).map_err(thrown)
    }

    /// Finds the listener that the runtime opened at 127.0.0.1:`port`, for `take` to put another in its place. Throws, with
    /// the reason, if that is not exactly one.
    #[napi(factory)]
    pub fn placeholder(port: u16) -> napi::Result<Self> {
        watched::Watched::placeholder(port).map(|inner| Watched { inner }).map_err(thrown)
    }

    /// The runtime watches it. Throws if it was closed meanwhile.
    #[napi]
    pub fn resume(&mut self) -> napi::Result<()> {
        self.inner.resume().map_err(thrown)
    }

    /// The runtime looks away.
    #[napi]
    pub fn pause_again(&mut self) -> napi::Result<()> {
        self.inner.pause_again().map_err(thrown)
    }

    /// Lets go of the socket, so that only others have it; the runtime keeps a number to close.
    #[napi]
    pub fn let_go(&mut self) -> napi::Result<()> {
        self.inner.let_go().map_err(thrown)
    }

    /// Puts a copy of the socket behind `fd` in its place, paused. What was there ends by it.
    #[napi]
    pub fn take(&mut self, fd: i32) -> napi::Result<()> {
        let taken = sys::with_borrowed(fd, |socket| self.inner.take(socket));
        taken.unwrap_or_else(|| Err(Failure::system("dup3", &rustix::io::Errno::BADF.into()))).map_err(thrown)
    }

    /// The connections of this process that came by it.
    #[napi]
    pub fn connections(&self) -> u32 {
        u32::try_from(self.inner.connections()).unwrap_or(u32::MAX)
    }
}

fn thrown(failure: Failure) -> napi::Error {
    napi::Error::from_reason(failure.message)
}
