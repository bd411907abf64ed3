mod activation;
mod world;

use super::*;
use crate::Code;
use crate::handover::tests::read_all as sent_by;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use world::*;

#[test]
fn an_empty_environment_is_the_first_generation() {
    let found = read_all::<&str>(&[("PATH", "/bin"), ("NOTIFY_SOCKET", "/run/systemd/notify")]);
    assert_eq!(found.generation, 1);
    assert!(!found.is_successor() && found.broken.is_none());
    assert!(found.wiped.is_empty() && found.warnings.is_empty() && found.listeners.is_empty());
}

#[test]
fn a_whole_inheritance_is_taken_over_and_wiped() {
    let (ready_reading, ready) = fifo();
    let (handover, writing) = fifo();
    let (_directory, restart) = unix_listener();
    let (channel, _old) = UnixStream::pair().unwrap();
    for fd in [ready.as_fd(), handover.as_fd(), restart.as_fd(), channel.as_fd()] {
        fcntl_setfd(fd, FdFlags::empty()).unwrap();
    }
    let env = fake(&[
        (READINESS, ready.into_raw_fd().to_string()),
        (HANDOVER, handover.into_raw_fd().to_string()),
        (RESTART_SOCKET, restart.into_raw_fd().to_string()),
        (CHANNEL, format!("7:{}:{PID}", channel.into_raw_fd())),
        (GENERATION, "5".into()),
        ("NOTIFY_SOCKET", "/run/systemd/notify".into()),
    ]);
    let mut found = read(&env);
    assert!(found.broken.is_none(), "{:?}", found.broken);
    assert_eq!((found.generation, found.warnings.len()), (5, 0));
    assert_eq!(found.wiped.len(), 5);
    assert_eq!(env.variables.borrow().keys().collect::<Vec<_>>(), ["NOTIFY_SOCKET"]);

    let ready = found.readiness.take().unwrap();
    let (version, channel) = found.channel.take().unwrap();
    assert_eq!(version, 7);
    assert!([&ready, &channel, &found.restart_socket.take().unwrap()].into_iter().all(is_cloexec));
    rustix::io::write(&ready, b"1").unwrap();
    assert_eq!(rustix::io::read(&ready_reading, &mut [0; 2]).unwrap(), 1);
    rustix::io::write(&writing, b"state").unwrap();
    drop(writing);
    assert_eq!(sent_by(&found.handover.take().unwrap()), b"state");
}

#[test]
fn a_rust_process_hands_over_no_channel_and_no_number() {
    let ready = || fifo().1.into_raw_fd().to_string();
    assert_eq!(read_all(&[(READINESS, ready())]).generation, 2);
    // Passed on by a Rust process that was itself generation 3.
    let env = [(READINESS, ready()), (GENERATION, "3".into()), (CHANNEL, format!("1:{CLOSED}:1"))];
    let found = read_all(&env);
    assert_eq!(found.generation, 4);
    assert!(found.broken.is_none() && found.channel.is_none());
    assert!(found.warnings[0].contains(CHANNEL), "{:?}", found.warnings);
}

#[test]
fn a_channel_whose_old_generation_has_died_is_still_a_channel() {
    let (ours, old) = UnixStream::pair().unwrap();
    drop(old);
    let ready = fifo().1.into_raw_fd().to_string();
    let found = read_all(&[(READINESS, ready), (CHANNEL, format!("1:{}:{PID}", ours.into_raw_fd()))]);
    assert!(found.channel.is_some() && found.broken.is_none());
}

#[test]
fn numbers_that_are_none_are_ignored_deleted_and_named() {
    for name in [READINESS, RESTART_SOCKET, HANDOVER] {
        for value in
            ["", "x", "-1", "+7", " 7", "7 ", "0x7", "99999999999999999999", "2147483648", "0", "1", "2", "é\n"]
        {
            let env = fake(&[(name, value)]);
            let found = read(&env);
            assert_eq!(found.wiped, [name], "{value:?}");
            assert!(!found.is_successor() && found.broken.is_none());
            assert!(found.warnings.len() == 1 && found.warnings[0].contains(name), "{:?}", found.warnings);
            assert_eq!(env.get(name), None);
        }
        assert_eq!(read_all(&[(name, CLOSED)]).warnings.len(), 1);
    }
}

#[test]
fn standard_streams_are_never_taken() {
    for fd in 0..3 {
        let found = read_all(&[(READINESS, fd.to_string()), (CHANNEL, format!("1:{fd}:{PID}"))]);
        assert!(!found.is_successor());
        assert_eq!(found.warnings.len(), 2);
    }
}

#[test]
fn a_descriptor_of_another_kind_is_not_even_touched() {
    let zoo = zoo();
    for (kind, bystander) in &zoo {
        let number = bystander.number();
        if *kind != "writing fifo" {
            assert!(read_all(&[(READINESS, number)]).readiness.is_none(), "{kind}");
        }
        if *kind != "connected unix" {
            assert!(read_all(&[(CHANNEL, format!("1:{number}:{PID}"))]).channel.is_none(), "{kind}");
        }
        for name in [RESTART_SOCKET, HANDOVER] {
            let found = read_all(&[(name, number)]);
            assert!(found.restart_socket.is_none() && found.handover.is_none(), "{kind}");
        }
    }
    zoo.iter().for_each(|(_, bystander)| bystander.assert_untouched());
}

#[test]
fn with_a_readiness_pipe_anything_else_that_is_wrong_is_inheritance() {
    for (name, right) in [(RESTART_SOCKET, "listening unix"), (HANDOVER, "reading fifo")] {
        let zoo = zoo();
        for (kind, bystander) in zoo.iter().filter(|(kind, _)| *kind != right) {
            let ready = fifo().1.into_raw_fd();
            let found = read_all(&[(READINESS, ready), (name, bystander.number())]);
            let broken = found.broken.unwrap_or_else(|| panic!("{name} {kind}"));
            assert_eq!(broken.code, Some(Code::Inheritance));
            assert!(broken.message.contains(name), "{broken}");
            assert!(found.readiness.is_some(), "the old generation can still be told");
            assert!(found.restart_socket.is_none() && found.handover.is_none());
        }
        zoo.iter().for_each(|(_, bystander)| bystander.assert_untouched());
    }
}

#[test]
fn a_pipe_of_the_runtime_itself_is_not_an_old_generations() {
    let (reading, writing) = fifo();
    let alone = writing.try_clone().unwrap();
    assert!(Process.is_own_pipe(reading.as_raw_fd()) && Process.is_own_pipe(writing.as_raw_fd()));
    let bystander = Bystander::new(writing);
    let found = read(&Fake { own_pipes: true, ..fake(&[(READINESS, bystander.number())]) });
    assert!(!found.is_successor() && found.broken.is_none());
    assert!(found.warnings[0].contains("of this process itself"), "{:?}", found.warnings);
    bystander.assert_untouched();
    drop(reading);
    assert!(!Process.is_own_pipe(alone.as_raw_fd()), "two copies of one end");
}

#[test]
fn the_crates_sockets_count_only_with_its_readiness_pipe() {
    let restart = Bystander::new(unix_listener().1);
    let handover = Bystander::new(fifo().0);
    let found = read_all(&[(RESTART_SOCKET, restart.number()), (HANDOVER, handover.number())]);
    assert!(found.restart_socket.is_none() && found.handover.is_none() && found.broken.is_none());
    assert_eq!((found.warnings.len(), found.wiped.len()), (2, 2));
    restart.assert_untouched();
    handover.assert_untouched();
}

#[test]
fn a_channel_for_another_pid_is_ignored() {
    let ours = Bystander::new(UnixStream::pair().unwrap().0);
    let found = read_all(&[(CHANNEL, format!("1:{}:{}", ours.number(), PID + 1)), (GENERATION, "3".into())]);
    assert!(!found.is_successor() && found.broken.is_none());
    assert_eq!((found.generation, found.warnings.len()), (1, 2));
    ours.assert_untouched();
}

#[test]
fn a_channel_that_is_garbage_is_ignored_alone_and_broken_with_a_readiness_pipe() {
    for value in ["", ":", "1:2", "1:x:4242", "x:9:4242", "1:9:x", "1:9:4242:1", "-1:9:4242", "1:-9:4242"] {
        let found = read_all(&[(CHANNEL, value)]);
        assert!(found.channel.is_none() && found.broken.is_none(), "{value}");
        assert_eq!(found.warnings.len(), 1);
        let ready = fifo().1.into_raw_fd().to_string();
        let found = read_all(&[(CHANNEL, value.to_owned()), (READINESS, ready)]);
        assert_eq!(found.broken.unwrap().code, Some(Code::Inheritance));
    }
}

#[test]
fn a_channel_without_a_readiness_pipe_is_inheritance() {
    for ready in [None, Some("x"), Some("2000000000")] {
        let channel = format!("1:{}:{PID}", UnixStream::pair().unwrap().0.into_raw_fd());
        let mut variables = vec![(CHANNEL, channel)];
        variables.extend(ready.map(|ready| (READINESS, ready.to_owned())));
        let found = read_all(&variables);
        assert!(found.broken.unwrap().message.contains(READINESS));
        assert!(found.channel.is_some(), "the old generation can still be told");
    }
}

#[test]
fn a_number_named_twice_belongs_to_the_first() {
    let both = fcntl_dupfd_cloexec(fifo_for_both(), 3).unwrap().into_raw_fd();
    let found = read_all(&[(READINESS, both), (HANDOVER, both)]);
    assert!(found.readiness.is_some() && found.handover.is_none());
    assert!(found.broken.unwrap().message.contains("another variable"));
}

#[test]
fn a_generation_that_is_no_number_is_ignored_or_inheritance() {
    for value in ["", "0", "-3", "x", "99999999999"] {
        let found = read_all(&[(GENERATION, value)]);
        assert_eq!((found.generation, found.warnings.len()), (1, 1), "{value}");
        let ready = fifo().1.into_raw_fd().to_string();
        assert!(read_all(&[(GENERATION, value.to_owned()), (READINESS, ready)]).broken.is_some());
    }
}

/// Run by the test below, in a process of its own whose environment names real descriptors.
#[test]
#[ignore = "the other process of this_process_takes_over_what_it_was_given"]
fn reads_this_process() {
    let mut found = read(&Process);
    assert!(found.broken.is_none(), "{:?}", found.broken);
    assert!(is_cloexec(found.readiness.as_ref().unwrap()));
    assert_eq!(sys::with_borrowed(7, |fd| fcntl_getfd(fd).unwrap()), Some(FdFlags::CLOEXEC));
    assert_eq!(sent_by(&found.handover.take().unwrap()), b"from the old generation\n");
    assert_eq!(found.wiped, [READINESS, HANDOVER]);
    assert!(ALL.iter().all(|name| std::env::var_os(name).is_none()));
    let again = read(&Process);
    assert!(!again.is_successor() && again.wiped.is_empty() && again.generation == 1);
}

#[test]
fn this_process_takes_over_what_it_was_given() {
    let program = std::env::current_exe().unwrap();
    // Its stdout is a pipe, so 8 is one to write to.
    let script = r#"echo from the old generation | { exec 7<&0 </dev/null; exec "$0" --ignored --exact environment::tests::reads_this_process 8>&1; }"#;
    let done = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .envs([(READINESS, "8"), (HANDOVER, "7")])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && output.contains("1 passed"), "{output}{}", String::from_utf8_lossy(&done.stderr));
}
