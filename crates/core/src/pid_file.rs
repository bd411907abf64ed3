//! A file with a pid, for whoever looks for the service there.

use crate::listener::lock_directory;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{self, Path, PathBuf};

/// Our pid in a file. Dropping it removes the file, unless another process has put its own pid there meanwhile.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes it whole, or not at all: a reader never sees half of it, nor, where there was one before, none.
    ///
    /// # Errors
    /// The system's.
    pub fn write(path: PathBuf) -> io::Result<PidFile> {
        let path = path::absolute(path)?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(format!(".{}", std::process::id()));
        // Not while an older generation finds its own pid there, and is about to remove the file.
        let _lock = lock_directory(&path)?;
        create(temporary.as_ref())
            .and_then(|mut file| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
            .and_then(|()| fs::rename(&temporary, &path))
            .inspect_err(|_| drop(fs::remove_file(&temporary)))?;
        Ok(PidFile { path })
    }
}

impl PidFile {
    /// Leaves the file to whoever writes it next.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

/// A file of our own, whatever lies at that path: its name can be guessed, and a link there would lead anywhere.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Without the lock (a directory that is gone) it is still checked.
        let _lock = lock_directory(&self.path);
        if fs::read_to_string(&self.path).is_ok_and(|text| text.trim() == std::process::id().to_string()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_our_pid_and_goes_with_us() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        fs::write(&path, "12\n").unwrap();
        let file = PidFile::write(path.clone()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_that_was_planted_beside_it_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, precious) = (directory.path().join("pid"), directory.path().join("precious"));
        fs::write(&precious, "mine").unwrap();
        let planted = directory.path().join(format!("pid.{}", std::process::id()));
        std::os::unix::fs::symlink(&precious, planted).unwrap();
        let file = PidFile::write(path.clone()).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        drop(file);
        assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
    }

    #[test]
    fn another_process_s_pid_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let file = PidFile::write(path.clone()).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_failure_leaves_nothing_half_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        fs::create_dir(&path).unwrap();
        PidFile::write(path).unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
