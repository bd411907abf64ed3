//! Between JavaScript's shapes and the core's: one function each way, nothing more.

use napi_derive::napi;
use shellflip_core::Failure;
use shellflip_core::listener::{Address, Request};
use std::net::{IpAddr, Ipv4Addr};

/// A failure as JavaScript sees it; `src/errors.ts` makes an Error of it.
#[napi(object)]
#[derive(Clone)]
pub struct NativeFailure {
    /// `ERR_SHELLFLIP_…`; absent for one of the system.
    pub code: Option<String>,
    /// What happened and what to do.
    pub message: String,
    /// Where in the restart.
    pub phase: Option<String>,
    /// The process concerned.
    pub pid: Option<u32>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// The system's error number, positive.
    pub errno: Option<i32>,
    /// The call that failed.
    pub syscall: Option<String>,
}

impl From<Failure> for NativeFailure {
    fn from(failure: Failure) -> Self {
        NativeFailure {
            code: failure.code.map(|code| code.as_str().into()),
            message: failure.message,
            phase: failure.phase,
            pid: failure.pid,
            exit_code: failure.exit_code,
            signal: failure.signal,
            errno: failure.errno,
            syscall: failure.syscall,
        }
    }
}

/// Where something listens.
#[napi(object)]
#[derive(Clone)]
pub struct NativeAddress {
    /// What kind of socket.
    #[napi(ts_type = "'tcp' | 'udp' | 'unix'")]
    pub kind: String,
    /// An IP address, for tcp and udp.
    pub host: Option<String>,
    /// A port, for tcp and udp. 0: any.
    pub port: Option<u16>,
    /// A path, for unix. A leading NUL: an abstract name (Linux).
    pub path: Option<String>,
}

impl From<&Address> for NativeAddress {
    fn from(address: &Address) -> Self {
        let (kind, ip, port, path) = match address {
            Address::Tcp { ip, port } => ("tcp", Some(ip), Some(*port), None),
            Address::Udp { ip, port } => ("udp", Some(ip), Some(*port), None),
            Address::Unix { path } => ("unix", None, None, Some(path.to_string_lossy().into_owned())),
        };
        NativeAddress { kind: kind.into(), host: ip.map(IpAddr::to_string), port, path }
    }
}

impl NativeAddress {
    /// The facade resolves names and validates; what is not an address here is a mistake of its own, and becomes the
    /// unspecified address rather than a panic.
    pub fn into_core(self) -> Address {
        let ip = self.host.and_then(|host| host.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let port = self.port.unwrap_or_default();
        match self.kind.as_str() {
            "udp" => Address::Udp { ip, port },
            "unix" => Address::Unix { path: self.path.unwrap_or_default().into() },
            _ => Address::Tcp { ip, port },
        }
    }
}

/// What `listen` asks for.
#[napi(object)]
pub struct NativeListenRequest {
    /// The listener's name; absent: made from the address.
    pub name: Option<String>,
    /// Where.
    pub address: NativeAddress,
    /// No host was given.
    pub any_host: bool,
    /// IPv6 only.
    pub ipv6_only: bool,
    /// Connections that may wait. 0: 511.
    pub backlog: i32,
    /// Permissions of a unix socket.
    pub mode: Option<u32>,
}

impl NativeListenRequest {
    pub fn into_core(self) -> Request {
        Request {
            name: self.name,
            address: self.address.into_core(),
            any_host: self.any_host,
            ipv6_only: self.ipv6_only,
            backlog: self.backlog,
            mode: self.mode,
        }
    }
}

/// What `listen` gets: a descriptor that is JavaScript's to own. Where `failure` is set, nothing else is.
#[napi(object)]
pub struct NativeClaim {
    /// The listening descriptor.
    pub fd: i32,
    /// The listener's name.
    pub name: String,
    /// Where it really listens.
    pub address: NativeAddress,
    /// It was inherited, not bound.
    pub inherited: bool,
    /// Why there is none.
    pub failure: Option<NativeFailure>,
}

/// A listener, to be shown.
#[napi(object)]
pub struct NativeListener {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: NativeAddress,
}

impl From<(String, Address)> for NativeListener {
    fn from((name, address): (String, Address)) -> Self {
        NativeListener { name, address: (&address).into() }
    }
}

/// A generation before this one that has not ended yet.
#[napi(object)]
pub struct NativeDrainer {
    /// Its process.
    pub pid: u32,
    /// Its number.
    pub generation: u32,
    /// For how long, in milliseconds.
    pub since_ms: f64,
}

/// What a restart in progress waits for.
#[napi(object)]
pub struct NativeProgress {
    /// In words for a terminal.
    pub phase: String,
    /// The new generation's process.
    pub pid: Option<u32>,
    /// Since the request, in milliseconds.
    pub since_ms: f64,
}
