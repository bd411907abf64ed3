//! An epoll instance of this process stands in for the runtime's. Tests run side by side: each looks at its own sockets.

use super::*;
use rustix::event::epoll::{self as kernel, CreateFlags, Event, EventData, EventFlags};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

const POINTER: u64 = 0x504_8864_56e0;
const NOTHING: [u64; 0] = [];

/// A runtime: an event loop that watches listeners.
struct Runtime(OwnedFd);

impl Runtime {
    fn new() -> Self {
        Runtime(kernel::create(CreateFlags::CLOEXEC).unwrap())
    }

    fn watch(&self, socket: impl AsFd) {
        kernel::add(&self.0, socket, EventData::new_u64(POINTER), EventFlags::IN).unwrap();
    }

    /// What it finds, without waiting longer than for what is there already.
    fn sees(&self) -> Vec<u64> {
        let mut events: Vec<Event> = Vec::with_capacity(8);
        kernel::wait(&self.0, rustix::buffer::spare_capacity(&mut events), Some(&Default::default())).unwrap();
        events.iter().map(|event| event.data.u64()).collect()
    }
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

/// Whether nobody listens there, now or soon: a program that another test starts holds a copy until it is executed.
fn is_refused(at: SocketAddr) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(at).is_ok() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_paused_listener_is_not_seen_and_a_resumed_one_with_all_that_came() {
    let (runtime, web) = (Runtime::new(), listener());
    runtime.watch(&web);
    let mut watched = Watched::pause(web.as_raw_fd()).unwrap();
    let _client = TcpStream::connect(web.local_addr().unwrap()).unwrap();
    assert_eq!(runtime.sees(), NOTHING);
    watched.resume().unwrap();
    assert_eq!(runtime.sees(), [POINTER]);
    watched.pause_again().unwrap();
    assert_eq!(runtime.sees(), NOTHING);
    watched.resume().unwrap();
    watched.resume().unwrap();
    assert_eq!(runtime.sees(), [POINTER]);
}

#[test]
fn it_is_found_by_any_of_its_descriptors() {
    let (runtime, web) = (Runtime::new(), listener());
    runtime.watch(&web);
    let copy = web.try_clone().unwrap();
    let mut watched = Watched::pause(copy.as_raw_fd()).unwrap();
    let _client = TcpStream::connect(web.local_addr().unwrap()).unwrap();
    assert_eq!(runtime.sees(), NOTHING);
    watched.resume().unwrap();
    assert_eq!(runtime.sees(), [POINTER]);
}

#[test]
fn a_grafted_listener_answers_where_it_was_bound_and_the_placeholder_is_gone() {
    let (runtime, placeholder, handed) = (Runtime::new(), listener(), listener());
    runtime.watch(&placeholder);
    let (from, at) = (placeholder.local_addr().unwrap(), handed.local_addr().unwrap());
    let mut watched = Watched::placeholder(port(&placeholder)).unwrap();
    watched.take(handed.as_fd()).unwrap();
    drop(handed);
    assert!(is_refused(from));
    let mut client = TcpStream::connect(at).unwrap();
    assert_eq!(runtime.sees(), NOTHING);
    watched.resume().unwrap();
    assert_eq!(runtime.sees(), [POINTER]);
    // The number is the one the runtime knows.
    assert_eq!(placeholder.local_addr().unwrap(), at);
    let (mut accepted, _) = placeholder.accept().unwrap();
    accepted.write_all(b"here").unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"here");
    let flags = rustix::io::fcntl_getfd(&placeholder).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn what_is_let_go_of_is_others_to_accept_and_can_be_taken_back() {
    let (runtime, web) = (Runtime::new(), listener());
    runtime.watch(&web);
    let others = web.try_clone().unwrap();
    let mut watched = Watched::pause(web.as_raw_fd()).unwrap();
    watched.resume().unwrap();
    watched.let_go().unwrap();
    let _client = TcpStream::connect(others.local_addr().unwrap()).unwrap();
    assert_eq!(runtime.sees(), NOTHING);
    assert!(web.local_addr().is_err());
    watched.take(others.as_fd()).unwrap();
    assert_eq!(runtime.sees(), NOTHING);
    watched.resume().unwrap();
    assert_eq!(runtime.sees(), [POINTER]);
    assert_eq!(port(&web), port(&others));
}

#[test]
fn connections_are_counted_and_clients_and_listeners_are_not() {
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let (runtime, web) = (Runtime::new(), TcpListener::bind(address).unwrap());
        runtime.watch(&web);
        let watched = Watched::pause(web.as_raw_fd()).unwrap();
        let client = TcpStream::connect(("127.0.0.1", port(&web))).unwrap();
        assert_eq!(watched.connections(), 0);
        let accepted = web.accept().unwrap();
        assert_eq!(watched.connections(), 1, "{address}");
        drop(accepted);
        assert_eq!(watched.connections(), 0);
        drop(client);
    }
}

#[test]
fn connections_of_a_unix_socket_are_counted_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let (runtime, web) = (Runtime::new(), UnixListener::bind(&path).unwrap());
    runtime.watch(&web);
    let mut watched = Watched::pause(web.as_raw_fd()).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    let _accepted = web.accept().unwrap();
    assert_eq!(watched.connections(), 1);
    // The name stays known when the socket is gone.
    watched.let_go().unwrap();
    assert_eq!(watched.connections(), 1);
}

#[test]
fn a_socket_watched_twice_or_not_at_all_is_refused_and_left_as_it_is() {
    let (one, other, web) = (Runtime::new(), Runtime::new(), listener());
    assert_eq!(Watched::pause(web.as_raw_fd()).unwrap_err().code, Some(Code::Unsupported));
    one.watch(&web);
    other.watch(&web);
    let failure = Watched::pause(web.as_raw_fd()).unwrap_err();
    assert_eq!(failure.code, Some(Code::Unsupported));
    assert!(failure.message.contains("2 found"), "{}", failure.message);
    let _client = TcpStream::connect(web.local_addr().unwrap()).unwrap();
    assert_eq!((one.sees(), other.sees()), (vec![POINTER], vec![POINTER]));
}

#[test]
fn a_placeholder_that_is_not_the_only_one_is_refused_and_left_as_it_is() {
    let (runtime, placeholder) = (Runtime::new(), listener());
    runtime.watch(&placeholder);
    let copy = placeholder.try_clone().unwrap();
    let failure = Watched::placeholder(port(&placeholder)).unwrap_err();
    assert_eq!(failure.code, Some(Code::Unsupported));
    drop(copy);
    let _client = TcpStream::connect(placeholder.local_addr().unwrap()).unwrap();
    assert_eq!(runtime.sees(), [POINTER]);
}

#[test]
fn a_number_that_the_runtime_has_closed_is_never_touched_again() {
    let (runtime, web) = (Runtime::new(), listener());
    runtime.watch(&web);
    let mut watched = Watched::pause(web.as_raw_fd()).unwrap();
    // Closed, and the number is something else's now.
    let number = web.into_raw_fd();
    let stranger = File::open("/dev/zero").unwrap();
    sys::replace(number, stranger.as_fd()).unwrap();
    assert_eq!(watched.resume().unwrap_err().code, Some(Code::Listener));
    watched.let_go().unwrap();
    assert_eq!(watched.take(listener().as_fd()).unwrap_err().code, Some(Code::Listener));
    let link = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
    assert_eq!(link.to_str(), Some("/dev/zero"));
}

#[test]
fn a_closed_number_is_refused() {
    assert_eq!(Watched::pause(-1).unwrap_err().errno, Some(9));
}
