//! Addresses of listeners: what is asked for, what a socket really has, and whether the one will do for the other.

use super::Request;
use rustix::net::{SocketType, sockopt};
use serde::{Deserialize, Serialize};
use socket2::SockRef;
use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fmt, io, path};

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// The address of the host.
        ip: IpAddr,
        /// The port.
        port: u16,
    },
    /// A UDP port.
    Udp {
        /// The address of the host.
        ip: IpAddr,
        /// The port.
        port: u16,
    },
    /// A unix stream socket.
    Unix {
        /// The path as bound; one that begins with NUL is a name in Linux's abstract namespace.
        path: PathBuf,
    },
}

impl Address {
    /// Asks a socket where it listens.
    ///
    /// # Errors
    /// `InvalidInput`, with the reason, for what is not a listening TCP or unix stream socket nor a bound UDP one.
    pub fn of_listening(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let kind = sockopt::socket_type(fd).map_err(|error| refuse(&format!("no socket ({error})")))?;
        let name = SockRef::from(&fd).local_addr()?;
        let listening = listens(fd);
        let address = match (name.as_socket(), kind) {
            (Some(at), SocketType::STREAM) => Address::Tcp { ip: at.ip(), port: at.port() },
            (Some(at), SocketType::DGRAM) if at.port() != 0 => {
                return Ok(Address::Udp { ip: at.ip(), port: at.port() });
            }
            (None, SocketType::STREAM) => unix(&name)?,
            _ => return Err(refuse("neither a TCP or unix stream socket nor a bound UDP socket")),
        };
        if listening { Ok(address) } else { Err(refuse("a socket that does not listen")) }
    }

    /// The path in the file system, if it has one; not for the abstract namespace.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Address::Unix { path } if !is_abstract(path) => Some(path),
            _ => None,
        }
    }

    /// Whether this address, a listener's, is exactly the one that is asked for.
    pub(super) fn is_exactly(&self, request: &Request) -> bool {
        !request.any_host && same(self, &request.address)
    }

    /// Whether this address, a listener's, will do for what is asked for: port 0 or no host match any.
    pub(super) fn will_do(&self, request: &Request) -> bool {
        let fits = |ip: &IpAddr, port: u16, asked: &IpAddr, wanted: u16, same_family: bool| {
            let host = ip == asked || request.any_host && (!same_family || ip.is_ipv4() == asked.is_ipv4());
            host && (wanted == 0 || wanted == port)
        };
        match (self, &request.address) {
            (Address::Tcp { ip, port }, Address::Tcp { ip: asked, port: wanted }) => {
                fits(ip, *port, asked, *wanted, false)
            }
            (Address::Udp { ip, port }, Address::Udp { ip: asked, port: wanted }) => {
                fits(ip, *port, asked, *wanted, true)
            }
            _ => same(self, &request.address),
        }
    }

    /// Whether any port is asked for.
    pub(super) fn is_any_port(&self) -> bool {
        matches!(self, Address::Tcp { port: 0, .. } | Address::Udp { port: 0, .. })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { ip, port } | Address::Udp { ip, port } => SocketAddr::new(*ip, *port).fmt(f),
            Address::Unix { path } if is_abstract(path) => {
                write!(f, "@{}", String::from_utf8_lossy(&path.as_os_str().as_bytes()[1..]))
            }
            Address::Unix { path } => path.display().fmt(f),
        }
    }
}

/// Whether a stream socket accepts connections.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn listens(fd: BorrowedFd<'_>) -> bool {
    sockopt::socket_acceptconn(fd).unwrap_or(false)
}

/// Whether a stream socket may accept connections: Apple does not tell, but what has a peer does not.
#[cfg(target_vendor = "apple")]
pub(crate) fn listens(fd: BorrowedFd<'_>) -> bool {
    SockRef::from(&fd).peer_addr().is_err()
}

/// Whether a path is a name in the abstract namespace.
pub(super) fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_bytes().first() == Some(&0)
}

/// Equal, where a relative path is the same as the absolute one it means.
fn same(one: &Address, other: &Address) -> bool {
    match (one.file(), other.file()) {
        (Some(one), Some(other)) => match (path::absolute(one), path::absolute(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        },
        _ => one == other,
    }
}

fn unix(name: &socket2::SockAddr) -> io::Result<Address> {
    let path = match (name.as_pathname(), name.as_abstract_namespace()) {
        (Some(path), _) => path.to_owned(),
        (None, Some(name)) => PathBuf::from(OsStr::from_bytes(&[&[0], name].concat())),
        (None, None) => return Err(refuse("a unix socket without a path")),
    };
    // Addresses travel as JSON between generations.
    if path.to_str().is_none() {
        return Err(refuse("a unix socket whose path is not UTF-8"));
    }
    Ok(Address::Unix { path })
}

fn refuse(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    fn tcp(ip: impl Into<IpAddr>, port: u16) -> Address {
        Address::Tcp { ip: ip.into(), port }
    }

    fn ask(address: Address, any_host: bool) -> Request {
        Request { name: None, address, any_host, ipv6_only: false, backlog: 0, mode: None }
    }

    #[test]
    fn port_zero_or_no_host_match_any() {
        let here = tcp(Ipv4Addr::LOCALHOST, 3000);
        assert!(here.will_do(&ask(tcp(Ipv4Addr::LOCALHOST, 3000), false)));
        assert!(here.will_do(&ask(tcp(Ipv4Addr::LOCALHOST, 0), false)));
        assert!(here.will_do(&ask(tcp(Ipv6Addr::UNSPECIFIED, 3000), true)));
        assert!(here.will_do(&ask(tcp(Ipv6Addr::UNSPECIFIED, 0), true)));
        assert!(!here.will_do(&ask(tcp(Ipv4Addr::LOCALHOST, 3001), true)));
        assert!(!here.will_do(&ask(tcp(Ipv4Addr::UNSPECIFIED, 3000), false)));
        assert!(!here.will_do(&ask(Address::Udp { ip: Ipv4Addr::LOCALHOST.into(), port: 3000 }, false)));
    }

    #[test]
    fn a_udp_socket_of_the_other_family_will_not_do() {
        let here = Address::Udp { ip: Ipv6Addr::UNSPECIFIED.into(), port: 53 };
        assert!(!here.will_do(&ask(Address::Udp { ip: Ipv4Addr::UNSPECIFIED.into(), port: 53 }, true)));
        assert!(here.will_do(&ask(Address::Udp { ip: Ipv6Addr::UNSPECIFIED.into(), port: 53 }, true)));
    }

    #[test]
    fn a_relative_path_is_the_absolute_one_it_means() {
        let absolute = std::env::current_dir().unwrap().join("app.sock");
        let here = Address::Unix { path: absolute };
        assert!(here.will_do(&ask(Address::Unix { path: "./app.sock".into() }, false)));
        assert!(!here.will_do(&ask(Address::Unix { path: "other.sock".into() }, false)));
    }

    #[test]
    fn a_socket_says_where_it_listens() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let ip = Ipv4Addr::LOCALHOST.into();
        assert_eq!(Address::of_listening(socket.as_fd()).unwrap(), Address::Udp { ip, port });

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let socket = UnixListener::bind(&path).unwrap();
        assert_eq!(Address::of_listening(socket.as_fd()).unwrap(), Address::Unix { path });
    }

    #[test]
    fn what_does_not_listen_is_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(Address::of_listening(connected.as_fd()).is_err());
        let unbound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        assert!(Address::of_listening(unbound.as_fd()).is_err());
        let datagrams = UnixDatagram::unbound().unwrap();
        assert!(Address::of_listening(datagrams.as_fd()).is_err());
        let file = tempfile::tempfile().unwrap();
        assert!(Address::of_listening(file.as_fd()).is_err());
    }

    #[test]
    fn addresses_survive_the_channel() {
        for address in [
            tcp(Ipv6Addr::LOCALHOST, 1),
            Address::Unix { path: "/run/x".into() },
            Address::Unix { path: "\0name".into() },
        ] {
            let json = serde_json::to_string(&address).unwrap();
            assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
        }
        assert_eq!(
            serde_json::to_string(&tcp(Ipv4Addr::LOCALHOST, 80)).unwrap(),
            r#"{"kind":"tcp","ip":"127.0.0.1","port":80}"#
        );
    }
}
