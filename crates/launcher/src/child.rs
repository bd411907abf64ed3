//! The short life between `fork` and `execve`, in the process that becomes the new generation.

use crate::{Failed, sys};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read, retry_on_intr, write};
use rustix::process::{chdir, getpid};
use shellflip_launcher::{PID_PLACEHOLDER, Stage, Start, Variable};
use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

/// The length of a failure on the pipe to the launcher: stage and errno.
pub const FAILURE_LEN: usize = 5;

/// Where programs are looked for when the environment has no PATH; as the C library does.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// Becomes the program, or tells the launcher by `failure` why not. The program running closes that pipe. Nothing happens
/// before `known` says that the old generation knows of this process; if the launcher dies first, so does this one.
pub fn become_new_generation(start: Start, descriptors: Vec<OwnedFd>, failure: OwnedFd, known: OwnedFd) -> ! {
    if !is_known(known) {
        sys::exit(127)
    }
    let Ok(failure) = above(failure, descriptors.len()) else { sys::exit(127) };
    let Err((stage, errno)) = attempt(&start, descriptors);
    let [a, b, c, d] = errno.raw_os_error().to_le_bytes();
    // Where the launcher is gone there is nobody to tell.
    let _ = write(&failure, &[stage.byte(), a, b, c, d]);
    sys::exit(127)
}

fn is_known(known: OwnedFd) -> bool {
    let waited = retry_on_intr(|| poll(&mut [PollFd::new(&known, PollFlags::IN)], None));
    waited.is_ok() && retry_on_intr(|| read(&known, &mut [0; 1])) == Ok(1)
}

/// Reads what came over the pipe.
pub fn decode_failure([stage, errno @ ..]: [u8; FAILURE_LEN]) -> Failed {
    (Stage::from_byte(stage).unwrap_or(Stage::Exec), Errno::from_raw_os_error(i32::from_le_bytes(errno)))
}

fn attempt(start: &Start, descriptors: Vec<OwnedFd>) -> Result<Infallible, Failed> {
    chdir(start.cwd.as_os_str()).map_err(|errno| (Stage::Cwd, errno))?;
    place(descriptors).map_err(|errno| (Stage::Descriptors, errno))?;
    exec(start).map_err(|errno| (Stage::Exec, errno))
}

/// Puts the descriptors at 0, 1, 2 and so on. Everything else is closed by `execve`.
fn place(descriptors: Vec<OwnedFd>) -> Result<(), Errno> {
    let count = descriptors.len();
    let clear = descriptors.into_iter().map(|fd| above(fd, count)).collect::<Result<Vec<_>, _>>()?;
    (0..).zip(&clear).try_for_each(|(number, fd)| sys::place(fd, number))
}

/// The same open file under a number that no target needs.
fn above(fd: OwnedFd, count: usize) -> Result<OwnedFd, Errno> {
    let first = RawFd::try_from(count).map_err(|_| Errno::MFILE)?;
    if fd.as_raw_fd() < first { fcntl_dupfd_cloexec(&fd, first) } else { Ok(fd) }
}

fn exec(start: &Start) -> Result<Infallible, Errno> {
    let argv = start.args.iter().map(|argument| c_string(argument.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    let pid = getpid().as_raw_pid().to_string();
    let env = start.env.iter().map(|variable| assignment(variable, pid.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    let candidates = candidates(&start.file, &start.env)?;
    sys::reset_signals();
    let mut worst = Errno::NOENT;
    for path in candidates {
        match sys::exec(&path, &argv, &env) {
            // Not there: look on.
            Errno::NOENT | Errno::NOTDIR => {}
            // There, but forbidden: say so, unless another directory has it.
            Errno::ACCESS => worst = Errno::ACCESS,
            errno => return Err(errno),
        }
    }
    Err(worst)
}

/// The paths to try, in order.
fn candidates(file: &OsStr, env: &[Variable]) -> Result<Vec<CString>, Errno> {
    let file = file.as_bytes();
    if file.is_empty() {
        return Err(Errno::NOENT);
    }
    if file.contains(&b'/') {
        return Ok(vec![c_string(file)?]);
    }
    let path = env.iter().find(|variable| variable.key == "PATH").map_or(DEFAULT_PATH, |path| path.value.as_bytes());
    path.split(|&byte| byte == b':')
        .map(|directory| if directory.is_empty() { &b"."[..] } else { directory })
        .map(|directory| c_string(&[directory, b"/", file].concat()))
        .collect()
}

/// `KEY=value`, with the pid where it belongs.
fn assignment(variable: &Variable, pid: &[u8]) -> Result<CString, Errno> {
    let mut text = [variable.key.as_bytes(), b"="].concat();
    let mut rest = variable.value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if variable.pid_bound && rest.starts_with(PID_PLACEHOLDER) {
            text.extend(pid);
            rest = &rest[PID_PLACEHOLDER.len()..];
        } else {
            text.push(byte);
            rest = after;
        }
    }
    c_string(&text)
}

fn c_string(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(key: &str, value: &str, pid_bound: bool) -> Variable {
        Variable { key: key.into(), value: value.into(), pid_bound }
    }

    #[test]
    fn only_pid_bound_values_learn_the_pid() {
        let bound = variable("SHELLFLIP_CHANNEL", "1:5:{pid}", true);
        assert_eq!(assignment(&bound, b"42").unwrap().as_bytes(), b"SHELLFLIP_CHANNEL=1:5:42");
        let free = variable("TEMPLATE", "{pid}", false);
        assert_eq!(assignment(&free, b"42").unwrap().as_bytes(), b"TEMPLATE={pid}");
    }

    #[test]
    fn a_name_is_looked_for_in_the_path_of_the_given_environment() {
        let paths = |file: &str, env: &[Variable]| candidates(OsStr::new(file), env).unwrap();
        assert_eq!(paths("a", &[variable("PATH", "/x::/y", false)]), [c"/x/a", c"./a", c"/y/a"]);
        assert_eq!(paths("a", &[]), [c"/bin/a", c"/usr/bin/a"]);
        assert_eq!(paths("./a", &[variable("PATH", "/x", false)]), [c"./a"]);
        assert_eq!(candidates(OsStr::new(""), &[]), Err(Errno::NOENT));
    }
}
