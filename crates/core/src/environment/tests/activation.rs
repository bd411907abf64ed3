//! LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES: sockets of the service manager.

use super::*;
use std::net::{TcpListener, UdpSocket};

/// Puts copies of sockets at consecutive numbers from `first`, a range of this test's own.
fn place(first: RawFd, sockets: &[&dyn AsFd]) {
    let place = |socket: &&dyn AsFd| fcntl_dupfd_cloexec(socket.as_fd(), first).unwrap().into_raw_fd();
    let placed: Vec<_> = sockets.iter().map(place).collect();
    assert_eq!(placed[0], first, "something else is open in this test's range");
    for &fd in &placed {
        sys::with_borrowed(fd, |fd| fcntl_setfd(fd, FdFlags::empty()).unwrap());
    }
}

fn listen(first: RawFd, variables: &[(&str, &str)]) -> Inheritance {
    read(&Fake { first, ..fake(variables) })
}

#[test]
fn sockets_of_the_service_manager_come_with_their_names() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (_directory, unix) = unix_listener();
    place(300, &[&tcp, &udp, &unix]);
    let pid = PID.to_string();
    let found = listen(300, &[(LISTEN_PID, &pid), (LISTEN_FDS, "3"), (LISTEN_FDNAMES, "web:dns:web")]);
    let names: Vec<_> = found.listeners.iter().map(|(name, fd)| (name.as_str(), is_cloexec(fd))).collect();
    assert_eq!(names, [("web", true), ("dns", true), ("web", true)]);
    assert!(found.warnings.is_empty() && found.wiped.len() == 3);
    assert_eq!(found.generation, 1);
}

#[test]
fn without_names_or_with_the_wrong_number_of_them_they_are_unknown() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let pid = PID.to_string();
    place(320, &[&tcp]);
    let found = listen(320, &[(LISTEN_PID, &pid), (LISTEN_FDS, "1")]);
    assert_eq!((found.listeners[0].0.as_str(), found.warnings.len()), ("unknown", 0));
    place(340, &[&tcp]);
    let found = listen(340, &[(LISTEN_PID, &pid), (LISTEN_FDS, "1"), (LISTEN_FDNAMES, "a:b")]);
    assert_eq!((found.listeners[0].0.as_str(), found.warnings.len()), ("unknown", 1));
}

#[test]
fn auto_means_this_process_if_the_crate_started_it() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    place(360, &[&tcp]);
    let found = listen(360, &[(LISTEN_PID, "auto"), (LISTEN_FDS, "1")]);
    assert!(found.listeners.is_empty() && found.warnings.len() == 1);
    let ready = fifo().1.into_raw_fd().to_string();
    let found = listen(360, &[(LISTEN_PID, "auto"), (LISTEN_FDS, "1"), (READINESS, &ready)]);
    assert_eq!((found.listeners.len(), found.warnings.len()), (1, 0));
    // The crate sets it always.
    assert!(listen(360, &[(LISTEN_PID, "auto")]).warnings.is_empty());
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let tcp = Bystander::new(TcpListener::bind("127.0.0.1:0").unwrap());
    for pid in ["1", "", "x", "-4242", "Auto", " 4242"] {
        let found = listen(tcp.number(), &[(LISTEN_PID, pid), (LISTEN_FDS, "1"), (LISTEN_FDNAMES, "web")]);
        assert!(found.listeners.is_empty() && found.broken.is_none());
        assert_eq!((found.warnings.len(), found.wiped.len()), (1, 3));
    }
    assert_eq!(listen(tcp.number(), &[(LISTEN_FDS, "1")]).warnings.len(), 1);
    tcp.assert_untouched();
}

#[test]
fn a_count_that_is_wrong_is_named_and_bounded() {
    let pid = PID.to_string();
    for count in ["", "x", "-1", "1e3", "99999999999", "2147483647"] {
        let found = listen(3, &[(LISTEN_PID, &pid), (LISTEN_FDS, count)]);
        assert!(found.listeners.is_empty() && found.warnings.len() == 1, "{count}");
    }
    let found = listen(CLOSED, &[(LISTEN_PID, &pid), (LISTEN_FDS, "100000000")]);
    assert_eq!(found.warnings.len(), 1);
    assert!(listen(CLOSED, &[(LISTEN_PID, &pid), (LISTEN_FDS, "0")]).warnings.is_empty());
}

#[test]
fn what_the_service_cannot_listen_with_is_left_to_whom_it_concerns() {
    let pid = PID.to_string();
    for (kind, bystander) in zoo() {
        if matches!(kind, "listening tcp" | "listening unix" | "udp") {
            continue;
        }
        let found = listen(bystander.number(), &[(LISTEN_PID, &pid), (LISTEN_FDS, "1"), (LISTEN_FDNAMES, "odd")]);
        assert!(found.listeners.is_empty() && found.broken.is_none(), "{kind}");
        assert!(found.warnings.len() == 1 && found.warnings[0].contains("'odd'"), "{kind} {:?}", found.warnings);
        bystander.assert_untouched();
    }
}

#[test]
fn a_coordination_socket_is_not_a_listener_as_well() {
    let (_directory, unix) = unix_listener();
    let number = unix.into_raw_fd();
    let ready = fifo().1.into_raw_fd().to_string();
    let (pid, restart) = (PID.to_string(), number.to_string());
    let variables = [(READINESS, &*ready), (RESTART_SOCKET, &restart), (LISTEN_PID, &pid), (LISTEN_FDS, "1")];
    let found = listen(number, &variables);
    assert!(found.restart_socket.is_some() && found.listeners.is_empty());
    assert!(found.warnings[0].contains("another variable"), "{:?}", found.warnings);
}
