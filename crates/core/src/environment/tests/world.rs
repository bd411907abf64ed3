//! A world without processes: variables in a map, and one descriptor of every kind.

use super::super::*;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

pub const PID: u32 = 4242;
/// Beyond every limit, so never open.
pub const CLOSED: RawFd = 2_000_000_000;

pub struct Fake {
    pub variables: RefCell<BTreeMap<String, String>>,
    pub first: RawFd,
    pub own_pipes: bool,
}

impl Environment for Fake {
    fn get(&self, name: &str) -> Option<String> {
        self.variables.borrow().get(name).cloned()
    }
    fn remove(&self, name: &str) {
        self.variables.borrow_mut().remove(name);
    }
    fn pid(&self) -> u32 {
        PID
    }
    /// The tests hold both ends of all their pipes.
    fn is_own_pipe(&self, _fd: RawFd) -> bool {
        self.own_pipes
    }
    fn first_listener(&self) -> RawFd {
        self.first
    }
}

pub fn fake<V: ToString>(variables: &[(&str, V)]) -> Fake {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    Fake { variables: RefCell::new(variables), first: 3, own_pipes: false }
}

pub fn read_all<V: ToString>(variables: &[(&str, V)]) -> Inheritance {
    read(&fake(variables))
}

/// A descriptor that must come out of it exactly as it went in: open, the same, its flags untouched.
pub struct Bystander {
    fd: OwnedFd,
    before: (u64, OFlags, FdFlags),
}

impl Bystander {
    pub fn new(fd: impl Into<OwnedFd>) -> Self {
        let fd = fd.into();
        fcntl_setfd(&fd, FdFlags::empty()).unwrap();
        let before = Self::look(&fd);
        Bystander { fd, before }
    }
    pub fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
    fn look(fd: &OwnedFd) -> (u64, OFlags, FdFlags) {
        let inode = rustix::fs::fstat(fd).unwrap().st_ino;
        (inode, fcntl_getfl(fd).unwrap(), fcntl_getfd(fd).unwrap())
    }
    pub fn assert_untouched(&self) {
        assert_eq!(Self::look(&self.fd), self.before);
    }
}

pub fn fifo() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe().unwrap()
}

pub fn unix_listener() -> (tempfile::TempDir, UnixListener) {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("s")).unwrap();
    (directory, listener)
}

/// One of every kind that is none of the others.
pub fn zoo() -> Vec<(&'static str, Bystander)> {
    let (reading, writing) = fifo();
    let (pair, _) = UnixStream::pair().unwrap();
    let (datagrams, _) = UnixDatagram::pair().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let unconnected = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    vec![
        ("reading fifo", Bystander::new(reading)),
        ("writing fifo", Bystander::new(writing)),
        ("connected unix", Bystander::new(pair)),
        ("unix datagrams", Bystander::new(datagrams)),
        ("listening unix", Bystander::new(unix_listener().1)),
        ("unconnected unix", Bystander::new(unconnected)),
        ("listening tcp", Bystander::new(tcp)),
        ("connected tcp", Bystander::new(connected)),
        ("udp", Bystander::new(UdpSocket::bind("127.0.0.1:0").unwrap())),
        ("file", Bystander::new(tempfile::tempfile().unwrap())),
        ("directory", Bystander::new(std::fs::File::open("/").unwrap())),
        ("device", Bystander::new(std::fs::File::open("/dev/null").unwrap())),
    ]
}

pub fn is_cloexec(fd: &OwnedFd) -> bool {
    fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC)
}

/// A FIFO open for both directions, which would do for either pipe.
pub fn fifo_for_both() -> OwnedFd {
    use rustix::fs::{CWD, Mode, mkfifoat, open};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap()
}
