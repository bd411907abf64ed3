//! What the new generation finds: descriptors, environment, directory, arguments, signals.

use super::*;

/// A program that opens nothing of its own, unlike a shell. `$out` is descriptor 3.
fn perl(script: &str) -> Spec {
    let script = format!("open $out, '>&=', 3; {script}");
    Spec { file: "perl".into(), args: ["perl", "-e", &script].map(OsString::from).into(), ..shell("") }
}

#[tokio::test]
async fn it_has_its_descriptors_at_3_and_up_and_nothing_else() {
    // A stray one, without CLOEXEC, as under Deno.
    let stray = fs::File::open("/dev/zero").unwrap();
    rustix::io::fcntl_setfd(&stray, rustix::io::FdFlags::empty()).unwrap();
    let mut spec = perl(r#"for (0..1023) { print $out "$_ $t\n" if defined($t = readlink "/proc/self/fd/$_") }"#);
    spec.pass.push(fs::File::open("/etc/passwd").unwrap().into());
    spec.pass.push(fs::File::open("/").unwrap().into());
    let listing = text(spec).await;
    let open: Vec<_> = listing.lines().filter_map(|line| line.split_once(' ')).collect();
    let numbers: Vec<_> = open.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!((open[4].1, open[5].1), ("/etc/passwd", "/"));
    for (number, target) in &open[..3] {
        assert_eq!(*target, fs::read_link(format!("/proc/self/fd/{number}")).unwrap().to_str().unwrap());
    }
}

#[tokio::test]
async fn as_many_descriptors_as_the_wire_takes_arrive_and_one_more_is_refused() {
    let null = || OwnedFd::from(fs::File::open("/dev/null").unwrap());
    let (mut output, theirs) = pipe().unwrap();
    let mut spec = perl(r#"print $out scalar grep { defined readlink "/proc/self/fd/$_" } 0..1023"#);
    spec.pass = vec![theirs.into()];
    spec.pass.extend((1..247).map(|_| null()));
    let mut running = launch(spec);
    started(&mut running).await;
    let mut count = String::new();
    output.read_to_string(&mut count).unwrap();
    assert_eq!(count, "250");

    let mut spec = shell("");
    spec.pass = (0..248).map(|_| null()).collect();
    let failure = start(&prepare().unwrap(), spec).unwrap_err();
    assert_eq!(failure.code, Some(Code::InvalidArg));
    assert!(failure.message.contains("248"), "{failure}");
}

#[tokio::test]
async fn its_environment_is_exactly_the_given_one_with_the_pid_where_it_belongs() {
    let mut spec = shell("cat /proc/$$/environ >&3; true");
    let odd = OsString::from_vec(vec![0xff, b'\n', b'=']);
    spec.env.push(("ODD".into(), odd));
    spec.env.push(("EMPTY".into(), "".into()));
    spec.env.push(("FREE".into(), "{pid}".into()));
    spec.env.push(("SHELLFLIP_CHANNEL".into(), "1:3:{pid}".into()));
    spec.pid_bound.push("SHELLFLIP_CHANNEL".into());
    let (mut running, mut output) = launch_writing(spec);
    let pid = started(&mut running).await;
    let mut environ = Vec::new();
    output.read_to_end(&mut environ).unwrap();
    let bound = format!("SHELLFLIP_CHANNEL=1:3:{pid}\0");
    let expected = [b"PATH=/usr/bin:/bin\0ODD=\xff\n=\0EMPTY=\0FREE={pid}\0".as_slice(), bound.as_bytes()].concat();
    assert_eq!(environ, expected);
}

#[tokio::test]
async fn an_environment_larger_than_the_sockets_buffer_arrives() {
    let mut spec = shell("cat /proc/$$/environ >&3; true");
    spec.env.extend((0..16).map(|number| (format!("BIG{number}").into(), "x".repeat(100_000).into())));
    let (mut running, mut output) = launch_writing(spec);
    started(&mut running).await;
    let mut environ = Vec::new();
    output.read_to_end(&mut environ).unwrap();
    assert_eq!(environ.iter().filter(|&&byte| byte == b'x').count(), 1_600_000);
}

#[tokio::test]
async fn what_no_system_can_start_is_refused_before_anything_starts() {
    let mut spec = shell("");
    spec.args.push("a\0b".into());
    assert_eq!(start(&prepare().unwrap(), spec).unwrap_err().code, Some(Code::InvalidArg));

    let mut spec = shell("");
    spec.args.push("x".repeat(9 << 20).into());
    let failure = start(&prepare().unwrap(), spec).unwrap_err();
    assert_eq!((failure.code, failure.errno), (Some(Code::SpawnFailed), Some(Errno::TOOBIG.raw_os_error())));
}

#[tokio::test]
async fn its_arguments_arrive_byte_for_byte() {
    let odd = OsString::from_vec(vec![0xff, 0xfe]);
    let mut spec = shell("cat /proc/$$/cmdline >&3; true");
    spec.args.extend(["two words".into(), "ünïcode".into(), "".into(), odd.clone()]);
    let expected: Vec<u8> = spec.args.iter().flat_map(|argument| [argument.as_bytes(), b"\0"].concat()).collect();
    assert_eq!(output(spec).await.0, expected);
}

#[tokio::test]
async fn it_starts_in_its_directory() {
    let mut spec = shell("pwd -P >&3");
    spec.cwd = "/usr/../etc".into();
    assert_eq!(text(spec).await, "/etc\n");
}

#[tokio::test]
async fn a_name_without_a_slash_is_found_in_the_given_path() {
    let mut spec = shell("echo found >&3");
    spec.file = "sh".into();
    spec.env = vec![("PATH".into(), "/nonexistent:/etc/passwd:/bin".into())];
    assert_eq!(text(spec).await, "found\n");
}

#[tokio::test]
async fn it_has_every_signal_at_its_default_while_the_launcher_ignores_those_of_the_service() {
    // Rust's runtime ignores SIGPIPE in this process, as Node does.
    let (mut running, _output, _input) = launch_living("");
    let launcher = running.launcher_pid().unwrap();
    let pid = started(&mut running).await;
    for line in ["SigIgn", "SigBlk"] {
        assert_eq!(u64::from_str_radix(&status(pid, line), 16), Ok(0), "{line}");
    }
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR2, Signal::PIPE] {
        kill(launcher, signal);
    }
    kill(pid, Signal::TERM);
    assert_eq!(running.next().await, Report::Signaled { signal: Signal::TERM.as_raw() });
}
