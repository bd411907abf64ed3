use super::*;
use rustix::fs::{Mode, OFlags};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

fn tcp(ip: impl Into<IpAddr>, port: u16) -> Request {
    request(Address::Tcp { ip: ip.into(), port })
}

fn udp(ip: impl Into<IpAddr>, port: u16) -> Request {
    request(Address::Udp { ip: ip.into(), port })
}

fn unix(path: impl AsRef<Path>) -> Request {
    request(Address::Unix { path: path.as_ref().into() })
}

fn request(address: Address) -> Request {
    Request { name: None, address, any_host: false, ipv6_only: false, backlog: 0, mode: None }
}

fn port(address: &Address) -> u16 {
    match address {
        Address::Tcp { port, .. } | Address::Udp { port, .. } => *port,
        Address::Unix { .. } => panic!("no port"),
    }
}

fn errno(failure: &Failure) -> Errno {
    assert_eq!(failure.code, None, "the system's errors have no code of ours");
    Errno::from_raw_os_error(failure.errno.unwrap())
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn tcp_listens_at_once_and_is_neither_inherited_nor_blocking() {
    let (address, fd) = bind(&tcp(Ipv4Addr::LOCALHOST, 0)).unwrap();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port(&address))).unwrap();
    assert!(rustix::io::fcntl_getfd(&fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    assert!(rustix::fs::fcntl_getfl(&fd).unwrap().contains(OFlags::NONBLOCK));
}

#[test]
fn a_port_that_is_taken_is_eaddrinuse_of_listen() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let failure = bind(&tcp(Ipv4Addr::LOCALHOST, taken.local_addr().unwrap().port())).unwrap_err();
    assert_eq!((errno(&failure), failure.syscall.as_deref()), (Errno::ADDRINUSE, Some("listen")));
    assert!(failure.message.contains("127.0.0.1:"), "{failure}");
}

#[test]
fn an_address_that_is_not_here_is_eaddrnotavail() {
    let failure = bind(&tcp(Ipv4Addr::new(192, 0, 2, 1), 0)).unwrap_err();
    assert_eq!(errno(&failure), Errno::ADDRNOTAVAIL);
}

#[test]
fn without_a_host_both_families_are_served() {
    let (address, fd) = bind(&Request { any_host: true, ..tcp(Ipv6Addr::UNSPECIFIED, 0) }).unwrap();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port(&address))).unwrap();
    if matches!(address, Address::Tcp { ip: IpAddr::V6(_), .. }) {
        assert!(!rustix::net::sockopt::ipv6_v6only(&fd).unwrap());
    }
}

#[test]
fn ipv6_only_leaves_ipv4_alone() {
    let asked = Request { ipv6_only: true, ..tcp(Ipv6Addr::UNSPECIFIED, 0) };
    let Ok((_, fd)) = bind(&asked) else { return };
    assert!(rustix::net::sockopt::ipv6_v6only(&fd).unwrap());
}

#[test]
fn udp_is_not_shared_with_another_socket() {
    let (address, fd) = bind(&udp(Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert!(!rustix::net::sockopt::socket_reuseaddr(&fd).unwrap());
    assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, port(&address))).is_err());
    let failure = bind(&udp(Ipv4Addr::LOCALHOST, port(&address))).unwrap_err();
    assert_eq!((errno(&failure), failure.syscall.as_deref()), (Errno::ADDRINUSE, Some("bind")));
}

#[test]
fn a_live_unix_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let live = UnixListener::bind(&path).unwrap();
    let failure = bind(&unix(&path)).unwrap_err();
    assert_eq!((errno(&failure), failure.syscall.as_deref()), (Errno::ADDRINUSE, Some("listen")));
    live.set_nonblocking(true).unwrap();
    UnixStream::connect(&path).unwrap();
    live.accept().unwrap();
}

#[test]
fn a_live_unix_socket_with_a_full_queue_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let (_, _live) = bind(&Request { backlog: 1, ..unix(&path) }).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        let connected = client.connect(&SockAddr::unix(&path).unwrap()).is_ok();
        waiting.push(client);
        if !connected {
            break;
        }
    }
    assert_eq!(errno(&bind(&unix(&path)).unwrap_err()), Errno::ADDRINUSE);
    assert!(path.exists());
}

#[test]
fn a_dead_unix_socket_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    let (address, _fd) = bind(&unix(&path)).unwrap();
    assert_eq!(address, Address::Unix { path: path.clone() });
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_live_datagram_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let _live = UnixDatagram::bind(&path).unwrap();
    assert_eq!(errno(&bind(&unix(&path)).unwrap_err()), Errno::ADDRINUSE);
    UnixDatagram::unbound().unwrap().send_to(b"x", &path).unwrap();
}

#[test]
fn what_is_not_a_socket_is_never_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let folder = directory.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let dead = directory.path().join("dead");
    drop(UnixListener::bind(&dead).unwrap());
    let link = directory.path().join("link");
    symlink(&dead, &link).unwrap();
    for path in [&file, &folder, &link] {
        assert_eq!(errno(&bind(&unix(path)).unwrap_err()), Errno::ADDRINUSE);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    assert!(folder.is_dir() && link.is_symlink() && dead.exists());
}

#[test]
fn a_socket_file_gets_the_mode_asked_for_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    for wanted in [0o600, 0o660, 0o777] {
        let path = directory.path().join(format!("{wanted:o}"));
        let _fd = bind(&Request { mode: Some(wanted), ..unix(&path) }).unwrap();
        assert_eq!(mode(&path), wanted);
    }
}

#[test]
fn a_socket_file_without_a_mode_is_nodes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ours");
    let _ours = bind(&unix(&path)).unwrap();
    let reference = directory.path().join("plain");
    let _plain = UnixListener::bind(&reference).unwrap();
    assert_eq!(mode(&path), mode(&reference));
}

#[test]
fn a_path_that_is_too_long_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x".repeat(108));
    let failure = bind(&unix(&path)).unwrap_err();
    assert_eq!((errno(&failure), failure.syscall.as_deref()), (Errno::INVAL, Some("listen")));
    assert!(failure.message.contains("at most 107 bytes"), "{failure}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_path_that_is_empty_or_holds_nul_is_einval() {
    for path in ["", "\0", "/tmp/a\0b"] {
        assert_eq!(errno(&bind(&unix(path)).unwrap_err()), Errno::INVAL, "{path:?}");
    }
}

#[test]
fn a_directory_that_is_missing_is_enoent() {
    let directory = tempfile::tempdir().unwrap();
    let failure = bind(&unix(directory.path().join("none/s"))).unwrap_err();
    assert_eq!(errno(&failure), Errno::NOENT);
    assert!(failure.message.contains("create it first"), "{failure}");
}

#[test]
fn a_name_in_the_abstract_namespace_is_bound_and_excludes_others() {
    let name = format!("\0shellflip-test-{}", std::process::id());
    let (address, _fd) = bind(&unix(&name)).unwrap();
    assert_eq!(address, Address::Unix { path: name.clone().into() });
    assert_eq!(errno(&bind(&unix(&name)).unwrap_err()), Errno::ADDRINUSE);
    let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    client.connect(&SockAddr::unix(&name).unwrap()).unwrap();
}

#[test]
fn a_directory_locked_for_good_ends_in_an_error_not_in_a_wait() {
    let directory = tempfile::tempdir().unwrap();
    let other = rustix::fs::open(directory.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let failure = bind(&unix(directory.path().join("s"))).unwrap_err();
    assert_eq!(errno(&failure), Errno::WOULDBLOCK);
    assert!(failure.message.contains("locked"), "{failure}");
}

#[test]
fn of_two_who_replace_a_dead_socket_exactly_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    for _ in 0..20 {
        drop(UnixListener::bind(&path).ok());
        let won: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..4).map(|_| scope.spawn(|| bind(&unix(&path)).ok())).collect();
            racers.into_iter().filter_map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(won.len(), 1);
        assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
        UnixStream::connect(&path).unwrap();
    }
}
