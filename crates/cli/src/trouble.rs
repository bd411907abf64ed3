//! Why a command did not succeed, and the exit code that tells a script so.

use shellflip_core::{Code, Failure};
use std::io;

/// The exit codes; 0 is success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Failed or refused; the service goes on as it was.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Nobody answers.
    NoService = 3,
    /// A restart is already going on.
    InProgress = 4,
    /// It was asked for, and what came of it is not known.
    Unknown = 5,
}

/// A failure with its exit code.
#[derive(Debug)]
pub struct Trouble {
    pub exit: Exit,
    pub failure: Failure,
}

impl Trouble {
    /// Nothing was asked yet, or asking does no harm.
    pub fn before(failure: Failure) -> Self {
        let exit = match failure.code {
            Some(Code::NoService) => Exit::NoService,
            Some(Code::InvalidArg) => Exit::Usage,
            _ => Exit::Failed,
        };
        Trouble { exit, failure }
    }

    /// The service's own answer.
    pub fn answered(failure: Failure) -> Self {
        let exit = match failure.code {
            Some(Code::RestartInProgress) => Exit::InProgress,
            _ => Exit::Failed,
        };
        Trouble { exit, failure }
    }

    /// It was asked, and no answer came.
    pub fn unknown(failure: Failure) -> Self {
        Trouble { exit: Exit::Unknown, failure }
    }

    /// Ctrl-C.
    pub fn interrupted(message: &str) -> Self {
        let error = io::Error::from_raw_os_error(rustix::io::Errno::INTR.raw_os_error());
        Trouble::unknown(Failure { message: message.into(), ..Failure::system("read", &error) })
    }

    /// The service said something that is no answer to what it was asked.
    pub fn nonsense() -> Self {
        let text = "the service gave an answer that this release does not understand: use the command line of its own \
                    release";
        Trouble::answered(Failure::new(Code::Unsupported, text))
    }

    /// A failure of this process.
    pub fn system(syscall: &str, error: &io::Error) -> Self {
        Trouble { exit: Exit::Failed, failure: Failure::system(syscall, error) }
    }

    /// The failure's code for programs: ours, or the system's name for it.
    pub fn code(&self) -> Option<&'static str> {
        use rustix::io::Errno;
        let named = [
            (Errno::TIMEDOUT, "ETIMEDOUT"),
            (Errno::CONNRESET, "ECONNRESET"),
            (Errno::INTR, "EINTR"),
            (Errno::ACCESS, "EACCES"),
            (Errno::PERM, "EPERM"),
            (Errno::AGAIN, "EAGAIN"),
        ];
        let errno = || named.iter().find(|(errno, _)| self.failure.errno == Some(errno.raw_os_error()));
        self.failure.code.map(Code::as_str).or_else(|| errno().map(|(_, name)| *name))
    }
}
