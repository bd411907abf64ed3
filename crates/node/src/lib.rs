//! The addon: hands JavaScript's calls to `shellflip_core` and its events back. Decides nothing.

#![allow(missing_docs, reason = "the macros generate undocumented items; what JavaScript sees is documented")]

mod convert;
mod engine;
mod process;
mod shutdown;
