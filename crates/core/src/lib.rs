//! Restart logic of `@shellflip/node`, without JavaScript.
//!
//! At any moment exactly one generation of a service answers the coordination socket, and at most one other is
//! becoming ready or draining under each live one. `restart` decides, `engine` carries out; the rest are its hands.

pub mod channel;
pub mod coordination;
pub mod engine;
pub mod environment;
pub mod error;
#[cfg(all(target_os = "linux", any(test, fuzzing)))]
pub mod fuzz;
pub mod handover;
pub mod listener;
pub mod message;
pub mod notify;
pub mod pid_file;
mod portable;
pub mod restart;
pub mod shutdown;
pub mod spawn;
pub mod successor;
pub mod sys;
pub mod watched;

pub use error::{Code, Failure};
