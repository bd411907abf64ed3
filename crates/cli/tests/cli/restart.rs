use crate::fake::Fake;
use crate::{run, shellflip};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn success_names_generation_pid_and_time() {
    let fake = Fake::start("ready");
    let done = run(&["restart"], &fake.socket());
    assert_eq!((done.code, &*done.err), (Some(0), ""));
    let start = format!("generation 4 is ready (pid {}, ", fake.pid());
    assert!(done.out.starts_with(&start) && done.out.ends_with(" ms)\n"), "{done:?}");

    let done = run(&["restart", "--json"], &fake.socket());
    let json = done.json();
    assert_eq!((done.code, &*done.err), (Some(0), ""));
    assert_eq!((&json["ok"], &json["pid"], &json["generation"]), (&true.into(), &fake.pid().into(), &4.into()));
    assert!(json["durationMs"].is_u64());
}

#[test]
fn a_rust_service_restarts_and_has_no_generation() {
    let fake = Fake::start("rust");
    let done = run(&["restart"], &fake.socket());
    assert!(done.out.starts_with(&format!("ready (pid {}, ", fake.pid())), "{done:?}");
    assert_eq!(done.code, Some(0));
    let json = run(&["restart", "--json"], &fake.socket()).json();
    assert_eq!((&json["ok"], json.get("generation")), (&true.into(), None));
}

#[test]
fn a_refusal_is_told_with_its_reason_and_code() {
    let codes = [
        ("NOT_READY", 1),
        ("DRAINING", 1),
        ("UNSUPPORTED", 1),
        ("GENERATION_EXITED", 1),
        ("INVALID_ARG", 1),
        ("RESTART_IN_PROGRESS", 4),
    ];
    for (code, exit) in codes {
        let fake = Fake::start(code);
        let told = run(&["restart"], &fake.socket());
        assert_eq!((told.code, &*told.out), (Some(exit), ""));
        let outlook = if code == "DRAINING" { "not restarted: the reason" } else { "the service goes on: the reason" };
        assert!(told.err.contains(outlook) && told.err.contains(code), "{told:?}");
        assert!(!told.err.contains('\x1b'), "no control sequence of the service's reaches a terminal");
        let told = run(&["restart", "--json"], &fake.socket());
        assert_eq!((told.code, &*told.err), (Some(exit), ""));
        let json = told.json();
        assert_eq!((&json["ok"], &json["code"]), (&false.into(), &format!("ERR_SHELLFLIP_{code}").into()));
        assert!(json["message"].as_str().unwrap().starts_with("the reason"));
    }
}

#[test]
fn a_time_out_and_an_end_without_answer_leave_the_outcome_unknown() {
    let fake = Fake::start("hangs");
    let told = run(&["restart", "--timeout", "0.2"], &fake.socket());
    assert_eq!(told.code, Some(5));
    assert!(told.err.contains("unknown") && told.err.contains("not cancelled"), "{told:?}");
    let json = run(&["restart", "--timeout", "0.2", "--json"], &fake.socket()).json();
    assert_eq!(json["code"], "ETIMEDOUT");

    let fake = Fake::start("closes");
    let told = run(&["restart"], &fake.socket());
    assert_eq!(told.code, Some(5));
    assert!(told.err.contains("unknown"), "{told:?}");
}

#[test]
fn ctrl_c_says_that_the_restart_goes_on() {
    let fake = Fake::start("hangs");
    let mut command = shellflip(&["restart", "--socket"]);
    let mut child = command.arg(fake.socket()).stderr(Stdio::piped()).spawn().unwrap();
    // Its handler is there once it has connected, which the service's own process can see.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !handles_interrupts(child.id()) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(err.contains("the restart goes on"), "{err}");
}

fn handles_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 2 != 0
}

#[test]
fn nobody_there_is_exit_3() {
    let directory = tempfile::tempdir().unwrap();
    let dead = directory.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    for path in [dead, directory.path().join("absent.sock")] {
        for command in ["restart", "status", "stop"] {
            let told = run(&[command], &path);
            assert_eq!((told.code, &*told.out), (Some(3), ""), "{command}");
            assert!(told.err.contains(path.to_str().unwrap()), "{told:?}");
        }
        let told = run(&["restart", "--json"], &path);
        assert_eq!((told.code, told.json()["code"].as_str()), (Some(3), Some("ERR_SHELLFLIP_NO_SERVICE")));
    }
}
