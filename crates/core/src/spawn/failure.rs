//! What to tell a person whose new generation could not be started.

use crate::{Code, Failure};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Where there is nothing better to say.
const GOES_ON: &str = "the service goes on as it was";

/// The failure of a `Report::Failed`, for the program and directory that were asked for.
pub fn failed(stage: &str, errno: i32, file: &OsStr, cwd: &OsStr) -> Failure {
    let interpreter = missing_interpreter(stage, errno, Path::new(file));
    let (file, cwd) = (file.display(), cwd.display());
    let error = io::Error::from_raw_os_error(errno);
    let (what, syscall, advice) = match (stage, Errno::from_raw_os_error(errno)) {
        ("cwd", _) => (
            format!("cannot enter the working directory {cwd}"),
            "chdir",
            "create it again, or name another one in command.cwd",
        ),
        ("exec", Errno::NOENT) if interpreter.is_some() => (
            format!("the program {file} needs {}, which does not exist", interpreter.unwrap_or_default()),
            "execve",
            "install that, or mend the first line of the script",
        ),
        ("exec", Errno::NOENT) => (
            format!("the program {file} does not exist"),
            "execve",
            "install it again, or name another one in command.file (looked for in the new generation's PATH, unless it has a /)",
        ),
        ("exec", Errno::ACCESS) => (
            format!("the program {file} may not be executed"),
            "execve",
            "give it the x bit, on a file system that is not mounted noexec",
        ),
        ("exec", Errno::TOOBIG) => (
            format!("the arguments and the environment of {file} are too long"),
            "execve",
            "make them smaller: the system's limit is 128 KiB for each and a quarter of `ulimit -s` for all",
        ),
        ("exec", Errno::NOEXEC) => (
            format!("the program {file} is not an executable of this machine"),
            "execve",
            "give a script its #! line, or name its interpreter in command.file",
        ),
        ("exec", errno) => (format!("cannot execute {file}"), "execve", advice(errno)),
        ("fork", errno) => ("cannot create the process of the new generation".into(), "fork", advice(errno)),
        ("start", Errno::PROTO) => (
            "the launcher is of another release of this package".into(),
            "recvmsg",
            "install the package anew, then stop and start the service",
        ),
        (_, errno) => ("cannot pass descriptors to the new generation".into(), "dup2", advice(errno)),
    };
    system(&what, syscall, &error, advice)
}

/// What a program that exists cannot run without: the kernel says ENOENT of both.
fn missing_interpreter(stage: &str, errno: i32, file: &Path) -> Option<String> {
    if stage != "exec" || errno != Errno::NOENT.raw_os_error() || !file.is_file() {
        return None;
    }
    let mut head = [0; 256];
    let read = File::open(file).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    let line = head[..read].split(|&byte| byte == b'\n').next().unwrap_or_default();
    let named = line.strip_prefix(b"#!").map(|rest| String::from_utf8_lossy(rest).trim().to_owned());
    Some(named.map_or_else(|| "a dynamic loader".into(), |named| format!("the interpreter {named}")))
}

/// The system refused something that a start needs: what it was, which call, and what to raise.
pub fn refused(what: &str, syscall: &str, error: &io::Error) -> Failure {
    let advice = Errno::from_io_error(error).map_or(GOES_ON, advice);
    system(what, syscall, error, advice)
}

/// The specification cannot be carried out by any system.
pub(super) fn invalid(message: String) -> Failure {
    Failure::new(Code::InvalidArg, message)
}

fn system(what: &str, syscall: &str, error: &io::Error, advice: &str) -> Failure {
    let name = Errno::from_io_error(error).and_then(name).map_or(String::new(), |name| format!("{name}, "));
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let message = format!("{what} ({name}{text}): {advice}");
    Failure { errno: error.raw_os_error(), syscall: Some(syscall.into()), ..Failure::new(Code::SpawnFailed, message) }
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::MFILE | Errno::NFILE | Errno::TOOMANYREFS => {
            "raise the limit of open files (ulimit -n, LimitNOFILE=) or look for a leak of descriptors"
        }
        Errno::AGAIN => "raise the limit of processes (ulimit -u, TasksMax=, the pids limit of the container)",
        Errno::NOMEM => "leave memory for two generations (MemoryMax=, the memory limit of the container)",
        Errno::ACCESS | Errno::PERM => {
            "allow this service to start programs (seccomp, SELinux, AppArmor, noexec mounts)"
        }
        _ => GOES_ON,
    }
}

fn name(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::MFILE => "EMFILE",
        Errno::NFILE => "ENFILE",
        Errno::TOOMANYREFS => "ETOOMANYREFS",
        Errno::AGAIN => "EAGAIN",
        Errno::NOMEM => "ENOMEM",
        Errno::ACCESS => "EACCES",
        Errno::PERM => "EPERM",
        Errno::NOENT => "ENOENT",
        Errno::NOTDIR => "ENOTDIR",
        Errno::TOOBIG => "E2BIG",
        Errno::NOEXEC => "ENOEXEC",
        Errno::LOOP => "ELOOP",
        Errno::TXTBSY => "ETXTBSY",
        _ => return None,
    })
}
