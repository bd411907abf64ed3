//! Listening sockets: every one of the service has one owner here, is bound natively and given to JavaScript by number.
//!
//! A listener is known by its name, in every generation the same; what the next generation is given is exactly what
//! `Registry::share` says, and a socket file is only ever removed while it is the very one that we bound.

mod address;
mod bind;
mod registry;
mod socket_file;

pub use address::Address;
pub(crate) use address::listens;
pub use bind::bind;
pub use registry::{Claim, Registry, Shared};
pub use socket_file::FileId;
pub(crate) use socket_file::lock as lock_directory;

use crate::{Code, Failure};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};

/// What the application asks `listen` for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The listener's name; `None` for the address asked for (`default_name`).
    pub name: Option<String>,
    /// Where to listen. Port 0: any.
    pub address: Address,
    /// No host was given: any inherited host will do, else `::` is bound, or `0.0.0.0` where there is no IPv6.
    /// For UDP the family of `address` is kept, since a `udp4` socket of Node cannot speak IPv6.
    pub any_host: bool,
    /// Leave IPv4 alone when binding `::`.
    pub ipv6_only: bool,
    /// Connections that may wait to be accepted. 0: Node's default, 511.
    pub backlog: i32,
    /// Permissions of the socket file. `None`: as Node, 0777 less the umask.
    pub mode: Option<u32>,
}

/// Where a listener came from, and so who answers for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// This generation bound it.
    Bound,
    /// The old generation, over the channel.
    Generation,
    /// The service manager (`LISTEN_FDS`), in this generation or an earlier one: its socket file is not ours to remove.
    ServiceManager,
}

/// A listening socket of the service.
#[derive(Debug)]
pub struct Listener {
    /// Its name, the same in all generations.
    pub name: String,
    /// Where it really listens, by getsockname (unix: the path as bound).
    pub address: Address,
    /// Our copy of the socket.
    pub fd: OwnedFd,
    /// Where it came from.
    pub source: Source,
    /// Its socket file, if it has one.
    pub file: Option<FileId>,
}

impl Listener {
    /// Takes in a listener that was announced to be at `announced`, once the socket itself confirms it.
    ///
    /// # Errors
    /// INHERITANCE when it is another socket than announced: not listening, of another kind, somewhere else.
    pub fn verified(name: String, announced: &Address, fd: OwnedFd, source: Source) -> Result<Self, Failure> {
        let found = Address::of_listening(fd.as_fd());
        match found {
            Ok(address) if address == *announced => {
                let file = FileId::of_path(&address);
                Ok(Listener { name, address, fd, source, file })
            }
            Ok(address) => Err(Failure::new(
                Code::Inheritance,
                format!(
                    "the listener '{name}' was announced at {announced}, but its socket listens on {address}; the old generation goes on, restart the service as a whole"
                ),
            )),
            Err(error) => Err(Failure::new(
                Code::Inheritance,
                format!(
                    "the listener '{name}' was announced at {announced}, but what arrived is not that: {error}; the old generation goes on, restart the service as a whole"
                ),
            )),
        }
    }

    /// Takes in a listener of the service manager, which says its name but not its address.
    ///
    /// # Errors
    /// INHERITANCE when it is no listening TCP or unix socket, nor a bound UDP one.
    pub fn from_service_manager(name: String, fd: OwnedFd) -> Result<Self, Failure> {
        match Address::of_listening(fd.as_fd()) {
            Ok(address) => Ok(Listener { name, address, fd, source: Source::ServiceManager, file: None }),
            Err(error) => Err(Failure::new(
                Code::Inheritance,
                format!("the socket '{name}' of the service manager cannot be used: {error}"),
            )),
        }
    }

    /// Says which file the old generation knew as this listener's; more exact than looking the path up again.
    #[must_use]
    pub fn with_file(mut self, file: Option<FileId>) -> Self {
        if file.is_some() {
            self.file = file;
        }
        self
    }
}

/// The name of a listener that was given none: the address asked for, such as `tcp:127.0.0.1:3000`, `tcp:*:3000`
/// (no host), `udp:0.0.0.0:0` or `unix:/run/app.sock`.
pub fn default_name(request: &Request) -> String {
    match &request.address {
        Address::Tcp { port, .. } if request.any_host => format!("tcp:*:{port}"),
        Address::Udp { port, .. } if request.any_host => format!("udp:*:{port}"),
        Address::Tcp { .. } => format!("tcp:{}", request.address),
        Address::Udp { .. } => format!("udp:{}", request.address),
        Address::Unix { .. } => format!("unix:{}", request.address),
    }
}

/// A listener's name as `FDNAME=` may say it: at most 255 printable ASCII characters, no colon. `claim` knows a
/// listener by this form, too, when it comes back from the service manager's store.
pub fn fd_name(name: &str) -> String {
    let escaped: String = name
        .bytes()
        .map(|byte| match byte {
            b':' | b'%' | 0..=32 | 127.. => format!("%{byte:02X}"),
            plain => char::from(plain).to_string(),
        })
        .collect();
    escaped.chars().take(255).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv6Addr, TcpListener};

    fn request(address: Address, any_host: bool) -> Request {
        Request { name: None, address, any_host, ipv6_only: false, backlog: 0, mode: None }
    }

    #[test]
    fn a_listener_without_a_name_is_called_after_the_address_asked_for() {
        let v4 = IpAddr::from([127, 0, 0, 1]);
        let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
        for (asked, name) in [
            (request(Address::Tcp { ip: v4, port: 3000 }, false), "tcp:127.0.0.1:3000"),
            (request(Address::Tcp { ip: v4, port: 0 }, false), "tcp:127.0.0.1:0"),
            (request(Address::Tcp { ip: v6, port: 80 }, false), "tcp:[::1]:80"),
            (request(Address::Tcp { ip: v4, port: 3000 }, true), "tcp:*:3000"),
            (request(Address::Udp { ip: v4, port: 53 }, true), "udp:*:53"),
            (request(Address::Unix { path: "/run/app.sock".into() }, false), "unix:/run/app.sock"),
            (request(Address::Unix { path: "\0app".into() }, false), "unix:@app"),
        ] {
            assert_eq!(default_name(&asked), name);
        }
    }

    #[test]
    fn a_name_is_fit_for_the_descriptor_store() {
        assert_eq!(fd_name("web"), "web");
        assert_eq!(fd_name("tcp:*:80"), "tcp%3A*%3A80");
        assert_eq!(fd_name("a b%é"), "a%20b%25%C3%A9");
        assert_eq!(fd_name(&"x".repeat(300)).len(), 255);
    }

    #[test]
    fn what_arrives_must_be_what_was_announced() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let real = Address::of_listening(socket.as_fd()).unwrap();
        let other = Address::Tcp { ip: IpAddr::from([127, 0, 0, 1]), port: 1 };
        let copy = || OwnedFd::from(socket.try_clone().unwrap());
        let wrong = Listener::verified("web".into(), &other, copy(), Source::Generation).unwrap_err();
        assert_eq!(wrong.code, Some(Code::Inheritance));
        assert!(wrong.message.contains("'web'") && wrong.message.contains("127.0.0.1:1"), "{wrong}");
        let right = Listener::verified("web".into(), &real, copy(), Source::Generation).unwrap();
        assert_eq!((right.address, right.source), (real, Source::Generation));
    }

    #[test]
    fn a_connected_socket_is_no_listener() {
        let (one, _two) = std::os::unix::net::UnixStream::pair().unwrap();
        let announced = Address::Unix { path: "/run/app.sock".into() };
        let failure = Listener::verified("web".into(), &announced, one.into(), Source::Generation).unwrap_err();
        assert_eq!(failure.code, Some(Code::Inheritance));
        let (one, _two) = rustix::pipe::pipe().unwrap();
        let failure = Listener::from_service_manager("fifo".into(), one).unwrap_err();
        assert_eq!(failure.code, Some(Code::Inheritance));
    }
}
