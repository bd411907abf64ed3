//! The addon: hands JavaScript's calls to `shellflip_core` and its events back. Decides nothing.

#![allow(missing_docs, reason = "the macros generate undocumented items; what JavaScript sees is documented")]
#![cfg_attr(test, allow(dead_code, reason = "nobody calls the exports where there is no JavaScript"))]

mod client;
mod convert;
mod engine;
mod event;
mod handover;
mod process;
mod shutdown;
mod watched;
