//! A file with our pid, which stays the same from generation to generation.

use std::fs;
use std::io;
use std::path::PathBuf;

/// Removed when dropped, if it still holds our pid.
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes it whole, or not at all: a reader never sees half of it.
    pub fn write(path: PathBuf) -> io::Result<PidFile> {
        let mut temporary = path.clone().into_os_string();
        temporary.push(format!(".{}", std::process::id()));
        fs::write(&temporary, format!("{}\n", std::process::id()))
            .and_then(|()| fs::rename(&temporary, &path))
            .inspect_err(|_| drop(fs::remove_file(&temporary)))?;
        Ok(PidFile { path })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.path).is_ok_and(|text| text.trim() == std::process::id().to_string()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
