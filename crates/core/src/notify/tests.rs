use super::*;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::thread;

fn manager() -> (tempfile::TempDir, UnixDatagram, Notifier) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    (directory, socket, Notifier::new(Some(path)))
}

fn receive(socket: &UnixDatagram) -> (String, Vec<OwnedFd>) {
    let mut text = [0; 256];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds.collect::<Vec<_>>()),
        _ => None,
    });
    (String::from_utf8_lossy(&text[..got.bytes]).into_owned(), fds.flatten().collect())
}

#[test]
fn without_a_service_manager_nothing_is_done() {
    for notifier in [Notifier::new(None), Notifier::new(Some("".into()))] {
        assert!(!notifier.present());
        notifier.send("READY=1").unwrap();
        notifier.barrier(Duration::ZERO).unwrap();
    }
}

#[test]
fn a_message_arrives_as_one_datagram() {
    let (_directory, socket, notifier) = manager();
    assert!(notifier.present());
    notifier.send("MAINPID=42\nREADY=1\nSTATUS=serving").unwrap();
    assert_eq!(receive(&socket).0, "MAINPID=42\nREADY=1\nSTATUS=serving");
}

#[cfg(target_os = "linux")]
#[test]
fn a_message_reaches_an_abstract_socket() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    let name = format!("shellflip-notify-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    Notifier::new(Some(format!("@{name}").into())).send("READY=1").unwrap();
    assert_eq!(receive(&socket).0, "READY=1");
}

#[test]
fn descriptors_travel_with_their_name() {
    let (_directory, socket, notifier) = manager();
    let (reading, writing) = io::pipe().unwrap();
    notifier.send_with("FDSTORE=1\nFDNAME=web", &[reading.as_fd()]).unwrap();
    let (text, fds) = receive(&socket);
    assert_eq!((text.as_str(), fds.len()), ("FDSTORE=1\nFDNAME=web", 1));
    rustix::io::write(&writing, b"!").unwrap();
    assert_eq!(rustix::io::read(&fds[0], &mut [0; 4]).unwrap(), 1);
}

#[test]
fn more_descriptors_than_fit_are_refused() {
    let (_directory, socket, notifier) = manager();
    let many = [socket.as_fd(); MOST_DESCRIPTORS + 1];
    assert_eq!(notifier.send_with("FDSTORE=1", &many).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_barrier_waits_until_the_manager_closes_its_end() {
    let (_directory, socket, notifier) = manager();
    notifier.send("MAINPID=42").unwrap();
    let waiting = thread::spawn(move || notifier.barrier(Duration::from_secs(10)));
    assert_eq!(receive(&socket).0, "MAINPID=42");
    let (text, fds) = receive(&socket);
    assert_eq!((text.as_str(), fds.len()), ("BARRIER=1", 1));
    assert!(!waiting.is_finished());
    drop(fds);
    waiting.join().unwrap().unwrap();
}

#[test]
fn a_barrier_that_nobody_answers_times_out() {
    let (_directory, _socket, notifier) = manager();
    assert_eq!(notifier.barrier(Duration::from_millis(30)).unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_manager_that_reads_nothing_holds_nobody_up() {
    let (_directory, _socket, notifier) = manager();
    let started = Instant::now();
    let refused = (0..10_000).find_map(|_| notifier.send("WATCHDOG=1").err()).unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_manager_that_is_gone_is_an_error() {
    let (_directory, socket, notifier) = manager();
    drop(socket);
    assert_eq!(notifier.send("READY=1").unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn other_kinds_of_sockets_are_unsupported_not_ignored() {
    for name in ["vsock:2:1234", "relative/path"] {
        let error = Notifier::new(Some(name.into())).send("READY=1").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
