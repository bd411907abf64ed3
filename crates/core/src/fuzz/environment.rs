//! The environment: any values, among them numbers of real descriptors of every kind. What is not taken is untouched.

use crate::environment::*;
use crate::sys;
use rustix::fs::{OFlags, fcntl_getfl, fstat};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use socket2::{Domain, Socket, Type};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

const PID: u32 = 4242;
/// Where the numbers of our descriptors begin: lower ones belong to the rest of the process, and are not tried.
const FIRST: RawFd = 700;
const NAMES: [&str; 8] =
    [READINESS, RESTART_SOCKET, HANDOVER, CHANNEL, GENERATION, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES];

/// One value for each variable, ended by NUL; `-` alone: not set. `$w` and the like stand for the number of a descriptor
/// of that kind, `$p` for this process.
pub fn environment(bytes: &[u8]) {
    let zoo = Zoo::new();
    let mut variables = BTreeMap::new();
    for (name, value) in NAMES.into_iter().zip(bytes.split(|&byte| byte == 0)) {
        if value != b"-" {
            let value = fenced(name, &String::from_utf8_lossy(value));
            variables.insert(name.to_owned(), zoo.fill_in(&value));
        }
    }
    let handover: Option<RawFd> = variables.get(HANDOVER).and_then(|number| number.parse().ok());
    let set: BTreeSet<String> = variables.keys().cloned().collect();
    let world = World { variables: RefCell::new(variables), first: zoo.number('r') };
    let found = read(&world);

    assert!(world.variables.borrow().is_empty());
    assert_eq!(found.wiped.iter().cloned().collect::<BTreeSet<_>>(), set);
    assert!(found.broken.is_none() || found.is_successor(), "a failure without an old generation");
    assert!(found.generation >= 1 && (found.is_successor() || found.generation == 1));
    let kinds = [
        (found.readiness.as_ref().map(AsRawFd::as_raw_fd), "w"),
        (found.channel.as_ref().map(|(_, fd)| fd.as_raw_fd()), "c"),
        (found.restart_socket.as_ref().map(AsRawFd::as_raw_fd), "l"),
        (found.handover.as_ref().and(handover), "r"),
    ];
    let mut taken = BTreeSet::new();
    for (fd, kind) in kinds.into_iter().filter_map(|(fd, kind)| Some((fd?, kind))) {
        assert_eq!(zoo.kind(fd).to_string(), kind);
        assert!(taken.insert(fd), "taken twice");
    }
    for (_, fd) in &found.listeners {
        assert!("lt".contains(zoo.kind(fd.as_raw_fd())));
        assert!(taken.insert(fd.as_raw_fd()), "taken twice");
    }
    drop(found);
    zoo.end(&taken);
}

/// The value, naming no descriptor of the process that tests.
fn fenced(name: &str, value: &str) -> String {
    let fenced = |part: &str| match part.parse::<RawFd>() {
        Ok(number) if (3..FIRST).contains(&number) => format!("2000000{number:03}"),
        _ => part.to_owned(),
    };
    match name {
        READINESS | RESTART_SOCKET | HANDOVER => fenced(value),
        CHANNEL => value.split(':').map(fenced).collect::<Vec<_>>().join(":"),
        _ => value.to_owned(),
    }
}

struct World {
    variables: RefCell<BTreeMap<String, String>>,
    first: RawFd,
}

impl Environment for World {
    fn get(&self, name: &str) -> Option<String> {
        self.variables.borrow().get(name).cloned()
    }
    fn remove(&self, name: &str) {
        self.variables.borrow_mut().remove(name);
    }
    fn pid(&self) -> u32 {
        PID
    }
    fn is_own_pipe(&self, _fd: RawFd) -> bool {
        false
    }
    fn first_listener(&self) -> RawFd {
        self.first
    }
}

/// One descriptor of each kind, by number: who owns it in the end is what is to be found out.
struct Zoo(Vec<(char, RawFd, Look)>);

type Look = (u64, OFlags, FdFlags);

impl Zoo {
    fn new() -> Zoo {
        let (reading, writing) = rustix::pipe::pipe().unwrap();
        let (connected, peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let listening = |domain| {
            let socket = Socket::new(domain, Type::STREAM, None).unwrap();
            socket.listen(1).unwrap();
            OwnedFd::from(socket)
        };
        // A unix socket cannot listen without a name; the kernel finds one for an empty address.
        let unix = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        rustix::net::bind(&unix, &rustix::net::SocketAddrUnix::new_unnamed()).unwrap();
        unix.listen(1).unwrap();
        let device = std::fs::File::open("/dev/null").unwrap();
        let all: [(char, OwnedFd); 7] = [
            ('r', reading),
            ('l', unix.into()),
            ('t', listening(Domain::IPV4)),
            ('w', writing),
            ('c', connected.into()),
            ('C', peer.into()),
            ('d', device.into()),
        ];
        Zoo(all
            .into_iter()
            .map(|(kind, fd)| {
                let fd = fcntl_dupfd_cloexec(&fd, FIRST).unwrap();
                fcntl_setfd(&fd, FdFlags::empty()).unwrap();
                let fd = fd.into_raw_fd();
                (kind, fd, look(fd).unwrap())
            })
            .collect())
    }

    fn number(&self, kind: char) -> RawFd {
        self.0.iter().find(|animal| animal.0 == kind).unwrap().1
    }

    /// Two ends of one kind pass for each other.
    fn kind(&self, fd: RawFd) -> char {
        self.0.iter().find(|animal| animal.1 == fd).expect("a descriptor of somebody else").0.to_ascii_lowercase()
    }

    fn fill_in(&self, value: &str) -> String {
        let filled = value.replace("$p", &PID.to_string());
        self.0.iter().fold(filled, |value, (kind, fd, _)| value.replace(&format!("${kind}"), &fd.to_string()))
    }

    fn end(self, taken: &BTreeSet<RawFd>) {
        for (kind, fd, before) in self.0 {
            if taken.contains(&fd) {
                assert_eq!(look(fd), None, "{kind} was taken over and not closed");
            } else {
                assert_eq!(look(fd), Some(before), "{kind} was touched");
                drop(sys::adopt(fd).unwrap());
            }
        }
    }
}

fn look(fd: RawFd) -> Option<Look> {
    sys::with_borrowed(fd, |fd| Some((fstat(fd).ok()?.st_ino, fcntl_getfl(fd).ok()?, fcntl_getfd(fd).ok()?)))?
}
