//! Binding as libuv does, so that a program notices no difference; failures keep Node's errno and syscall.

use super::{Address, FileId, Request, socket_file};
use crate::Failure;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// Node's backlog where none is asked for.
const DEFAULT_BACKLOG: i32 = 511;

/// Binds what is asked for, close-on-exec and non-blocking, and listens (UDP: binds only). After a failure nothing is
/// left behind.
///
/// # Errors
/// The system's, under Node's name of the call: `listen` for TCP and unix sockets, `bind` for UDP.
pub fn bind(request: &Request) -> Result<(Address, OwnedFd), Failure> {
    bind_with_file(request).map(|bound| (bound.address, bound.fd))
}

pub(super) struct Bound {
    pub address: Address,
    pub fd: OwnedFd,
    pub file: Option<FileId>,
}

pub(super) fn bind_with_file(request: &Request) -> Result<Bound, Failure> {
    let backlog = if request.backlog > 0 { request.backlog } else { DEFAULT_BACKLOG };
    let bound = match &request.address {
        Address::Tcp { port, .. } if request.any_host => bind_any_host(*port, request.ipv6_only, backlog),
        Address::Tcp { ip, port } => bind_tcp(SocketAddr::new(*ip, *port), request.ipv6_only, backlog),
        Address::Udp { ip, port } => bind_udp(SocketAddr::new(*ip, *port), request.ipv6_only),
        Address::Unix { path } => {
            let bound = socket_file::bind(path, request.mode, backlog);
            return bound
                .map(|(fd, file)| Bound { address: request.address.clone(), fd, file })
                .map_err(|error| failure(request, &error));
        }
    };
    bound
        .and_then(|socket| {
            let fd = OwnedFd::from(socket);
            Ok(Bound { address: Address::of_listening(fd.as_fd())?, fd, file: None })
        })
        .map_err(|error| failure(request, &error))
}

/// `::`, which serves IPv4 too, or `0.0.0.0` where IPv6 is switched off.
fn bind_any_host(port: u16, ipv6_only: bool, backlog: i32) -> io::Result<Socket> {
    let error = match bind_tcp(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), ipv6_only, backlog) {
        Ok(socket) => return Ok(socket),
        Err(error) => error,
    };
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL | Errno::INVAL) => {
            bind_tcp(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), false, backlog)
        }
        _ => Err(error),
    }
}

fn bind_tcp(address: SocketAddr, ipv6_only: bool, backlog: i32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(ipv6_only)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(backlog)?;
    Ok(socket)
}

fn bind_udp(address: SocketAddr, ipv6_only: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() && ipv6_only {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn failure(request: &Request, error: &io::Error) -> Failure {
    let syscall = if matches!(request.address, Address::Udp { .. }) { "bind" } else { "listen" };
    let asked = match &request.address {
        Address::Tcp { port, .. } | Address::Udp { port, .. } if request.any_host => format!("port {port}"),
        address => address.to_string(),
    };
    let mut failure = Failure::system(syscall, error);
    failure.message = format!("{syscall} on {asked}: {error}{}", advice(request, error));
    failure
}

/// What to do about the errors that people meet.
fn advice(request: &Request, error: &io::Error) -> String {
    let is_unix = matches!(request.address, Address::Unix { .. });
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ADDRINUSE) if is_unix => {
            "; a live process listens there, or it is not a socket: stop that process, remove the file, or choose another path".into()
        }
        Some(Errno::ADDRINUSE) => "; another process or listener has it: stop that one or choose another port".into(),
        Some(Errno::ACCESS) if is_unix => "; the directory must be writable for this user".into(),
        Some(Errno::ACCESS) => "; low ports need CAP_NET_BIND_SERVICE, or a socket of the service manager".into(),
        Some(Errno::ADDRNOTAVAIL) => "; this host has no such address".into(),
        Some(Errno::NOENT) => "; the directory does not exist: create it first".into(),
        Some(Errno::WOULDBLOCK) if is_unix => "; another process keeps the directory locked (flock): see lslocks".into(),
        Some(Errno::INVAL) => match &request.address {
            Address::Unix { path } => socket_file::explain(path).map(|why| format!("; {why}")).unwrap_or_default(),
            Address::Tcp { ip: IpAddr::V6(_), .. } | Address::Udp { ip: IpAddr::V6(_), .. } => {
                "; a link-local address needs its interface, which cannot be given here".into()
            }
            _ => String::new(),
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
