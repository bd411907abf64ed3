//! Which service is meant.

use crate::trouble::Trouble;
use shellflip_core::coordination::{discover, explicit_path};
use shellflip_core::{Code, Failure};
use std::path::PathBuf;

/// The socket given, or the one that can only be meant.
pub fn socket(given: Option<PathBuf>) -> Result<PathBuf, Trouble> {
    if let Some(path) = given.or_else(explicit_path) {
        return Ok(path);
    }
    let search = discover();
    let failure = match &*search.live {
        [(path, _)] => return Ok(path.clone()),
        [] => {
            let looked: Vec<_> = search.looked.iter().map(|path| path.display().to_string()).collect();
            let text = format!(
                "no service found in {}: is it running, and as this user? If its socket is elsewhere, give --socket",
                looked.join(", ")
            );
            Failure::new(Code::NoService, text)
        }
        several => {
            let mut text = String::from("several services run: choose one with --socket");
            for (path, pid) in several {
                text += &format!("\n  {}", path.display());
                text += &pid.map(|pid| format!("  (pid {pid})")).unwrap_or_default();
            }
            Failure::new(Code::InvalidArg, text)
        }
    };
    Err(Trouble::before(failure))
}
