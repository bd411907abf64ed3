//! Starting a launcher, and handing it what to start. Synchronous and bounded: runs on the JavaScript thread, since
//! niceness, affinity, capabilities and seccomp belong to the thread that spawns.

use super::failure::{invalid, refused};
use super::{Image, Running, Spec};
use crate::{Code, Failure, portable};
use rustix::io::{Errno, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
use shellflip_launcher::{MAX_DESCRIPTORS, MAX_START, Start, Variable};
use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A launcher that is starting the new generation.
#[derive(Debug)]
pub struct Launcher {
    pub(super) process: Process,
    pub(super) control: UnixStream,
    /// What of START the socket had no room for.
    pub(super) unsent: Vec<u8>,
}

/// The launcher's process: killed and reaped when dropped. Its death leaves the new generation alone.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // A process this small is gone within microseconds, so that nothing needs to wait for it elsewhere.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
impl Process {
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

/// Starts a launcher for this specification. Takes well under a millisecond whatever the size of this process, and
/// never waits for the launcher: what of a large environment does not fit into the socket follows with
/// [`Running::next`]. Closes this process's copies of `spec.pass`.
///
/// # Errors
/// `INVALID_ARG` for what no system can start; `SPAWN_FAILED` with the errno and what to do about it.
pub fn start(image: &Image, spec: Spec) -> Result<Launcher, Failure> {
    let frame = frame(&spec)?;
    let failed = |syscall: &'static str| {
        move |error: io::Error| refused("cannot start the launcher of the new generation", syscall, &error)
    };
    let null = File::options().read(true).write(true).open("/dev/null").map_err(failed("open"))?;
    let (control, theirs) = UnixStream::pair().map_err(failed("socketpair"))?;
    control.set_nonblocking(true).map_err(failed("ioctl"))?;
    portable::quiet(control.as_fd()).map_err(failed("setsockopt"))?;
    let process = spawn(image, &theirs.into(), &null.as_fd()).map_err(failed("posix_spawn"))?;

    let mut descriptors: Vec<BorrowedFd<'_>> =
        [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()]
            .map(|fd| if fcntl_getfd(fd).is_ok() { fd } else { null.as_fd() })
            .into();
    descriptors.extend(spec.pass.iter().map(AsFd::as_fd));
    let sent = send(&control, &frame, &descriptors).map_err(failed("sendmsg"))?;
    Ok(Launcher { process, control, unsent: frame[sent..].to_vec() })
}

impl Launcher {
    /// Hands it to the tokio runtime of the calling thread.
    ///
    /// # Errors
    /// Where the runtime cannot watch the socket. The launcher is then reaped; the new generation may have started.
    pub fn into_async(self) -> io::Result<Running> {
        Running::new(self)
    }
}

/// Checks what would otherwise fail later and with less to say, and encodes.
fn frame(spec: &Spec) -> Result<Vec<u8>, Failure> {
    let count = spec.pass.len() + 3;
    if count > MAX_DESCRIPTORS {
        let most = MAX_DESCRIPTORS - 3;
        return Err(invalid(format!(
            "{} descriptors are to be passed on, {most} can be: use fewer listeners",
            count - 3
        )));
    }
    let keys = spec.env.iter().map(|(key, _)| ("the name of a variable", key));
    let values = spec.env.iter().map(|(_, value)| ("the value of a variable", value));
    let rest = [("the program", &spec.file), ("the working directory", &spec.cwd)];
    let all =
        rest.into_iter().chain(spec.args.iter().map(|argument| ("an argument", argument))).chain(keys).chain(values);
    for (what, text) in all {
        if text.as_bytes().contains(&0) {
            return Err(invalid(format!("{what} contains a NUL byte, which no program can be given: {text:?}")));
        }
    }
    let variable = |(key, value): &(_, _)| Variable {
        key: Clone::clone(key),
        value: Clone::clone(value),
        pid_bound: spec.pid_bound.contains(key),
    };
    let start = Start {
        file: spec.file.clone(),
        cwd: spec.cwd.clone(),
        args: spec.args.clone(),
        env: spec.env.iter().map(variable).collect(),
    };
    start.encode(count).ok_or_else(|| {
        let message = format!("arguments and environment are longer than {} MiB: make them smaller", MAX_START >> 20);
        Failure { errno: Some(Errno::TOOBIG.raw_os_error()), ..Failure::new(Code::SpawnFailed, message) }
    })
}

/// Runs the launcher from memory or, where that is forbidden or there is no /proc, from its file.
fn spawn(image: &Image, control: &OwnedFd, null: &BorrowedFd<'_>) -> io::Result<Process> {
    let mut result = Err(io::ErrorKind::NotFound.into());
    for path in image.paths() {
        result = spawn_from(path, control, null);
        let elsewhere = matches!(
            result.as_ref().err().and_then(Errno::from_io_error),
            Some(Errno::NOENT | Errno::ACCESS | Errno::PERM | Errno::NOEXEC | Errno::NOTDIR)
        );
        if !elsewhere {
            break;
        }
    }
    result.map(Process)
}

/// Nothing here may make std fork: no pre_exec, no cwd, no ids.
fn spawn_from(path: PathBuf, control: &OwnedFd, null: &BorrowedFd<'_>) -> io::Result<Child> {
    // Above 0-2, which may be closed here, so that placing one cannot overwrite another.
    let above = |fd: &BorrowedFd<'_>| fcntl_dupfd_cloexec(fd, 3).map(Stdio::from);
    Command::new(path)
        .arg0("shellflip-launcher")
        .env_clear()
        .stdin(above(&control.as_fd())?)
        .stdout(above(null)?)
        .stderr(above(null)?)
        .spawn()
}

/// Sends what fits, with all descriptors.
fn send(control: &UnixStream, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    Ok(rustix::io::retry_on_intr(|| sendmsg(control, &[IoSlice::new(frame)], &mut ancillary, portable::SEND))?)
}
