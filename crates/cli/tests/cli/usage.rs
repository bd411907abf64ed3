use crate::fake::Fake;
use crate::{Outcome, shellflip};
use shellflip_core::coordination::bind;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::process::Stdio;

fn outcome(arguments: &[&str]) -> Outcome {
    shellflip(arguments).output().unwrap().into()
}

#[test]
fn wrong_usage_is_exit_2_and_help_is_not() {
    let wrong: [&[&str]; 8] = [
        &[],
        &["reboot"],
        &["restart", "--wrong"],
        &["restart", "--timeout", "soon"],
        &["restart", "--timeout", "-1"],
        &["restart", "--socket"],
        &["stop", "--json"],
        &["status", "--socket", ""],
    ];
    for arguments in wrong {
        let told = outcome(arguments);
        assert_eq!((told.code, &*told.out), (Some(2), ""), "{arguments:?}");
        assert_ne!(told.err, "", "{arguments:?}");
    }
    let help = outcome(&["--help"]);
    assert_eq!((help.code, &*help.err), (Some(0), ""));
    for word in ["restart", "status", "stop", "Exit codes", "SHELLFLIP_SOCKET"] {
        assert!(help.out.contains(word), "{word}");
    }
    let version = outcome(&["--version"]);
    assert_eq!((version.code, version.out), (Some(0), format!("shellflip {}\n", env!("CARGO_PKG_VERSION"))));
    let long = format!("/tmp/{}", "x".repeat(200));
    let told = outcome(&["restart", "--socket", &long]);
    assert_eq!(told.code, Some(2));
    assert!(told.err.contains("shorter"), "{told:?}");
}

#[test]
fn without_a_socket_the_one_service_is_found() {
    let home = tempfile::tempdir().unwrap();
    let mut private = DirBuilder::new();
    private.mode(0o700);
    let directory = home.path().join("run");
    private.create(&directory).unwrap();
    let status = |keys: &[(&str, &std::path::Path)]| -> Outcome {
        let mut command = shellflip(&["status"]);
        command.env("XDG_RUNTIME_DIR", &directory).envs(keys.iter().copied());
        command.output().unwrap().into()
    };
    let none = status(&[]);
    assert_eq!(none.code, Some(3));
    assert!(none.err.contains(directory.to_str().unwrap()), "{none:?}");

    let one = Fake::at(&directory.join("one-0123456789abcdef.sock"));
    drop(bind(&directory.join("dead-0123456789abcdef.sock")).unwrap());
    let found = status(&[]);
    assert!(found.out.contains(&one.pid().to_string()), "{found:?}");

    let two = Fake::at(&directory.join("two-0123456789abcdef.sock"));
    let both = status(&[]);
    assert_eq!((both.code, &*both.out), (Some(2), ""));
    for fake in [&one, &two] {
        assert!(both.err.contains(&format!("pid {}", fake.pid())), "{both:?}");
    }

    let managed = Fake::at(&home.path().join("shellflip.sock"));
    let found = status(&[("RUNTIME_DIRECTORY", home.path())]);
    assert!(found.out.contains(&managed.pid().to_string()), "{found:?}");
    let named = status(&[("RUNTIME_DIRECTORY", home.path()), ("SHELLFLIP_SOCKET", &directory.join("x"))]);
    assert_eq!(named.code, Some(3));
    assert!(named.err.contains("run/x"), "{named:?}");
}

#[test]
fn a_reader_that_has_gone_away_is_no_error_but_a_full_disk_is() {
    let fake = Fake::start("ready");
    for arguments in [&["--help"][..], &["status", "--socket", fake.socket().to_str().unwrap()]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let told: Outcome = shellflip(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap().into();
        assert_eq!((told.code, &*told.err), (Some(0), ""), "{arguments:?}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = shellflip(&["status", "--socket"]);
    let told: Outcome = command.arg(fake.socket()).stdout(full).output().unwrap().into();
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("write"), "{told:?}");
}
