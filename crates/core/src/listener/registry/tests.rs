use super::*;
use crate::listener::fd_name;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn tcp(port: u16) -> Request {
    Request { address: Address::Tcp { ip: HERE, port }, ..unix("") }
}

fn any_host(port: u16) -> Request {
    let ip = Ipv6Addr::UNSPECIFIED.into();
    Request { address: Address::Tcp { ip, port }, any_host: true, ..unix("") }
}

fn unix(path: impl AsRef<Path>) -> Request {
    let address = Address::Unix { path: path.as_ref().into() };
    Request { name: None, address, any_host: false, ipv6_only: false, backlog: 0, mode: None }
}

fn named(name: &str, request: Request) -> Request {
    Request { name: Some(name.into()), ..request }
}

fn inherited(name: &str, source: Source) -> (Listener, u16) {
    let socket = TcpListener::bind((HERE, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let address = Address::Tcp { ip: HERE, port };
    (Listener::verified(name.into(), &address, socket.into(), source).unwrap(), port)
}

fn registry<const N: usize>(listeners: [(&str, Source); N]) -> (Registry, [u16; N]) {
    let mut registry = Registry::default();
    let ports = listeners.map(|(name, source)| {
        let (listener, port) = inherited(name, source);
        registry.inherit(listener);
        port
    });
    (registry, ports)
}

fn port(claim: &Claim) -> u16 {
    match claim.address {
        Address::Tcp { port, .. } | Address::Udp { port, .. } => port,
        Address::Unix { .. } => 0,
    }
}

/// What the next generation makes of what it is given.
fn next_generation(registry: &mut Registry) -> Registry {
    let mut next = Registry::default();
    for shared in registry.share().unwrap() {
        let listener = Listener::verified(shared.name, &shared.address, shared.fd, shared.source).unwrap();
        next.inherit(listener.with_file(shared.file));
    }
    next
}

#[test]
fn a_listener_is_claimed_by_name_before_it_is_by_address() {
    let (mut registry, [web, admin]) = registry([("web", Source::Generation), ("admin", Source::Generation)]);
    let claim = registry.claim(&named("admin", tcp(0))).unwrap();
    assert_eq!((claim.name.as_str(), port(&claim), claim.inherited), ("admin", admin, true));
    let claim = registry.claim(&tcp(web)).unwrap();
    assert_eq!((claim.name, claim.inherited), (format!("tcp:127.0.0.1:{web}"), true));
    assert!(registry.unclaimed().is_empty());
}

#[test]
fn no_host_claims_any_host_of_that_port() {
    let (mut registry, [web]) = registry([("web", Source::Generation)]);
    let claim = registry.claim(&any_host(web)).unwrap();
    assert_eq!((claim.name, claim.inherited), (format!("tcp:*:{web}"), true));
}

#[test]
fn port_zero_claims_any_socket_of_the_service_manager() {
    let (mut registry, [web]) = registry([("app.socket", Source::ServiceManager)]);
    let claim = registry.claim(&any_host(0)).unwrap();
    assert_eq!((port(&claim), claim.inherited), (web, true));
}

#[test]
fn port_zero_does_not_take_what_another_claim_of_the_new_release_will_ask_for() {
    let (mut registry, [web]) = registry([("web", Source::Generation)]);
    let extra = registry.claim(&any_host(0)).unwrap();
    assert!(!extra.inherited);
    let claim = registry.claim(&named("web", tcp(web))).unwrap();
    assert!(claim.inherited);
}

#[test]
fn the_same_name_at_another_address_is_bound_anew_if_a_generation_had_it() {
    let (mut registry, [old]) = registry([("web", Source::Generation)]);
    let free = TcpListener::bind((HERE, 0)).unwrap().local_addr().unwrap().port();
    let claim = registry.claim(&named("web", tcp(free))).unwrap();
    assert_eq!((port(&claim), claim.inherited), (free, false));
    assert_eq!(registry.unclaimed(), [("web".to_owned(), Address::Tcp { ip: HERE, port: old })]);
    registry.own();
    assert!(TcpStream::connect((HERE, old)).is_err());
}

#[test]
fn two_names_that_swap_their_addresses_both_find_them() {
    let (mut registry, [a, b]) = registry([("a", Source::Generation), ("b", Source::Generation)]);
    let claims = [registry.claim(&named("a", tcp(b))).unwrap(), registry.claim(&named("b", tcp(a))).unwrap()];
    assert!(claims.iter().all(|claim| claim.inherited));
    assert_eq!(claims.map(|claim| port(&claim)), [b, a]);
}

#[test]
fn the_same_name_at_another_host_that_the_old_socket_blocks_is_the_systems_error() {
    let (mut registry, [old]) = registry([("web", Source::Generation)]);
    let elsewhere = Request { address: Address::Tcp { ip: Ipv4Addr::UNSPECIFIED.into(), port: old }, ..tcp(0) };
    let failure = registry.claim(&named("web", elsewhere)).unwrap_err();
    assert_eq!(failure.errno, Some(rustix::io::Errno::ADDRINUSE.raw_os_error()));
    assert_eq!(registry.unclaimed().len(), 1);
}

#[test]
fn the_same_name_at_another_address_is_listener_if_it_is_the_service_managers() {
    let (mut registry, [_]) = registry([("web", Source::ServiceManager)]);
    let failure = registry.claim(&named("web", tcp(1))).unwrap_err();
    assert_eq!(failure.code, Some(Code::Listener));
    assert!(failure.message.contains("'web'"), "{failure}");
}

#[test]
fn sockets_of_one_unit_share_a_name_and_are_told_apart_by_address() {
    let (mut registry, [one, two]) = registry([("web", Source::ServiceManager), ("web", Source::ServiceManager)]);
    let claim = registry.claim(&named("web", tcp(two))).unwrap();
    assert_eq!(port(&claim), two);
    let claim = registry.claim(&tcp(one)).unwrap();
    assert_eq!((port(&claim), claim.inherited), (one, true));
}

#[test]
fn a_listener_comes_back_from_the_descriptor_store_under_its_name() {
    let name = default_name(&tcp(0));
    let (mut registry, [_, stored]) =
        registry([("other", Source::ServiceManager), (&fd_name(&name), Source::ServiceManager)]);
    let claim = registry.claim(&tcp(0)).unwrap();
    assert_eq!((port(&claim), claim.inherited, claim.name), (stored, true, name));
}

#[test]
fn a_name_used_twice_is_invalid_arg() {
    let mut registry = Registry::default();
    registry.claim(&tcp(0)).unwrap();
    let failure = registry.claim(&tcp(0)).unwrap_err();
    assert_eq!(failure.code, Some(Code::InvalidArg));
    assert!(failure.message.contains("`name`"), "{failure}");
    assert_eq!(registry.claim(&named("", tcp(0))).unwrap_err().code, Some(Code::InvalidArg));
    registry.drop_listener("tcp:127.0.0.1:0");
    registry.claim(&tcp(0)).unwrap();
}

#[test]
fn a_claim_that_failed_leaves_its_name_free() {
    let mut registry = Registry::default();
    let taken = TcpListener::bind((HERE, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(registry.claim(&named("web", tcp(port))).is_err());
    drop(taken);
    registry.claim(&named("web", tcp(port))).unwrap();
}

#[test]
fn a_udp_socket_is_claimed_by_its_own_kind_only() {
    let mut registry = Registry::default();
    let socket = UdpSocket::bind((HERE, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let address = Address::Udp { ip: HERE, port };
    registry.inherit(Listener::verified("dns".into(), &address, socket.into(), Source::Generation).unwrap());
    // Whether that port is free for TCP is not said.
    assert!(registry.claim(&tcp(port)).map_or(true, |claim| !claim.inherited));
    assert!(registry.claim(&Request { address, ..tcp(0) }).unwrap().inherited);
}

#[test]
fn an_inherited_socket_is_given_non_blocking_and_close_on_exec() {
    let (mut registry, [_]) = registry([("web", Source::ServiceManager)]);
    let claim = registry.claim(&named("web", any_host(0))).unwrap();
    assert!(rustix::fs::fcntl_getfl(&claim.fd).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    assert!(rustix::io::fcntl_getfd(&claim.fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn a_socket_goes_on_through_three_generations_without_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut first = Registry::default();
    let claim = first.claim(&named("web", unix(&path))).unwrap();
    assert!(!claim.inherited);
    let mut second = next_generation(&mut first);
    assert!(second.claim(&named("web", unix(&path))).unwrap().inherited);
    first.release();
    drop(claim);
    let mut third = next_generation(&mut second);
    third.claim(&named("web", unix(&path))).unwrap();
    second.release();
    UnixStream::connect(&path).unwrap();
    assert_eq!(third.listeners(), [("web".to_owned(), Address::Unix { path: path.clone() })]);
    third.end();
    assert!(!path.exists(), "the service has ended");
}

#[test]
fn a_socket_file_that_another_took_over_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    for end in [|registry: &mut Registry| registry.drop_listener("web"), Registry::end] {
        let mut registry = Registry::default();
        registry.claim(&named("web", unix(&path))).unwrap();
        std::fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        end(&mut registry);
        UnixStream::connect(&path).unwrap();
        drop(other);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_socket_file_of_the_service_manager_is_never_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let socket = UnixListener::bind(&path).unwrap();
    let mut first = Registry::default();
    first.inherit(Listener::from_service_manager("app.socket".into(), socket.into()).unwrap());
    first.claim(&unix(&path)).unwrap();
    let mut second = next_generation(&mut first);
    second.claim(&unix(&path)).unwrap();
    first.drop_listener(&default_name(&unix(&path)));
    second.end();
    assert!(path.exists());
}

#[test]
fn what_nobody_claims_goes_with_its_socket_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut first = Registry::default();
    first.claim(&named("old", unix(&path))).unwrap();
    let mut second = next_generation(&mut first);
    first.release();
    assert_eq!(second.unclaimed().len(), 1);
    second.own();
    assert!(!path.exists() && second.unclaimed().is_empty());
}

#[test]
fn a_server_closed_during_a_restart_keeps_its_file_until_it_is_clear_who_serves() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut registry = Registry::default();
    registry.claim(&named("web", unix(&path))).unwrap();
    let next = next_generation(&mut registry);
    registry.drop_listener("web");
    UnixStream::connect(&path).unwrap();
    // That next generation fails; this one ends.
    drop(next);
    registry.end();
    assert!(!path.exists());
}

#[test]
fn what_a_new_generation_closes_keeps_its_file_until_the_service_is_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut old = Registry::default();
    old.claim(&named("web", unix(&path))).unwrap();
    let mut new = next_generation(&mut old);
    new.claim(&named("web", unix(&path))).unwrap();
    new.drop_listener("web");
    UnixStream::connect(&path).unwrap();
    old.release();
    new.own();
    assert!(!path.exists());
}

#[test]
fn what_was_closed_during_a_restart_that_failed_goes_once_that_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let (during, after) = (directory.path().join("during"), directory.path().join("after"));
    let mut registry = Registry::default();
    registry.claim(&named("during", unix(&during))).unwrap();
    registry.claim(&named("after", unix(&after))).unwrap();
    drop(next_generation(&mut registry));
    registry.drop_listener("during");
    assert!(during.exists());
    registry.own();
    assert!(!during.exists());
    registry.drop_listener("after");
    assert!(!after.exists());
}

#[test]
fn what_is_stored_keeps_its_file_when_the_service_ends_in_the_middle_of_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut registry = Registry::default();
    registry.claim(&named("web", unix(&path))).unwrap();
    registry.keep("web");
    drop(next_generation(&mut registry));
    registry.ending();
    registry.drop_listener("web");
    registry.end();
    assert!(path.exists());
}

#[test]
fn a_new_release_may_ask_for_another_mode() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut first = Registry::default();
    first.claim(&Request { mode: Some(0o600), ..unix(&path) }).unwrap();
    let mut second = next_generation(&mut first);
    second.claim(&Request { mode: Some(0o666), ..unix(&path) }).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
}

#[test]
fn what_was_stopped_is_reclaimed_by_name_and_accepts_what_came_meanwhile() {
    let mut registry = Registry::default();
    let claim = registry.claim(&named("web", tcp(0))).unwrap();
    let port = port(&claim);
    let mut next = next_generation(&mut registry);
    next.claim(&named("web", tcp(0))).unwrap();
    // The runtime has closed its copy, and the next generation dies.
    drop((claim, next));
    let client = TcpStream::connect((HERE, port)).unwrap();
    let again = registry.reclaim("web").unwrap();
    assert_eq!((again.name.as_str(), again.address.clone()), ("web", Address::Tcp { ip: HERE, port }));
    assert!(rustix::io::fcntl_getfd(&again.fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    let (_, peer) = TcpListener::from(again.fd).accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
}

#[test]
fn a_reclaimed_unix_socket_still_has_its_file_and_removes_it_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut registry = Registry::default();
    drop(registry.claim(&named("web", unix(&path))).unwrap());
    drop(next_generation(&mut registry));
    let again = registry.reclaim("web").unwrap();
    UnixStream::connect(&path).unwrap();
    drop(again);
    registry.end();
    assert!(!path.exists());
}

#[test]
fn only_what_is_in_use_is_reclaimed() {
    let (mut registry, [_]) = registry([("web", Source::Generation)]);
    let refused = |registry: &Registry| registry.reclaim("web").unwrap_err();
    assert_eq!(refused(&registry).code, Some(Code::Listener), "inherited, and nobody has claimed it");
    registry.claim(&named("web", tcp(0))).unwrap();
    registry.reclaim("web").unwrap();
    registry.drop_listener("web");
    assert!(refused(&registry).message.contains("'web'"), "the application closed it");
    registry.claim(&named("web", tcp(0))).unwrap();
    registry.release();
    assert_eq!(refused(&registry).code, Some(Code::Listener), "it is the next generation's");
}

#[test]
fn a_stored_listener_keeps_its_file_at_the_end_but_not_when_it_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let (kept, given_up) = (directory.path().join("kept"), directory.path().join("given-up"));
    let mut registry = Registry::default();
    for (name, path) in [("kept", &kept), ("given up", &given_up)] {
        drop(registry.claim(&named(name, unix(path))).unwrap());
        registry.keep(name);
    }
    registry.drop_listener("given up");
    assert!(!given_up.exists());
    let copies = registry.copies().unwrap();
    assert_eq!(copies.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["kept"]);
    registry.ending();
    registry.drop_listener("kept");
    registry.end();
    UnixStream::connect(&kept).unwrap();
}

#[test]
fn a_stored_listener_that_is_now_wanted_elsewhere_is_not_insisted_on() {
    let directory = tempfile::tempdir().unwrap();
    let (mut registry, _) = registry([("web", Source::ServiceManager)]);
    let elsewhere = named("web", unix(directory.path().join("s")));
    assert_eq!(registry.claim(&elsewhere).unwrap_err().code, Some(Code::Listener));
    registry.stores(true);
    let claim = registry.claim(&elsewhere).unwrap();
    assert!(!claim.inherited);
    assert_eq!(registry.unclaimed().len(), 1);
}
