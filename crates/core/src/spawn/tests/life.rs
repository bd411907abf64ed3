//! How the new generation, its launcher and the old one end, in every order.

use super::*;

#[tokio::test]
async fn its_exit_code_is_reported_and_the_launcher_reaped() {
    let mut running = launch(shell("exit 7"));
    let launcher = running.launcher_pid().unwrap();
    let pid = started(&mut running).await;
    assert_eq!(running.next().await, Report::Exited { code: 7 });
    assert!(!exists(launcher) && !exists(pid));
    assert_eq!(running.next().await, Report::Gone);
    running.kill();
    running.release();
}

#[tokio::test]
async fn the_signal_that_ended_it_is_reported() {
    let mut running = launch(shell("kill -SEGV $$"));
    started(&mut running).await;
    assert_eq!(running.next().await, Report::Signaled { signal: Signal::SEGV.as_raw() });
}

#[tokio::test]
async fn a_program_that_cannot_run_is_reported_with_stage_and_errno() {
    let cases = [
        ("/nonexistent/node", "exec", Errno::NOENT),
        ("no-such-program", "exec", Errno::NOENT),
        ("/etc/passwd", "exec", Errno::ACCESS),
        ("/", "exec", Errno::ACCESS),
        ("", "exec", Errno::NOENT),
    ];
    for (file, stage, errno) in cases {
        let mut running = launch(Spec { file: file.into(), ..shell("") });
        let launcher = running.launcher_pid().unwrap();
        let errno = errno.raw_os_error();
        assert_eq!(running.next().await, Report::Failed { stage: stage.into(), errno }, "{file}");
        assert_eq!(running.pid(), None);
        assert!(!exists(launcher));
    }
}

#[tokio::test]
async fn a_directory_that_is_gone_is_reported_and_named() {
    let spec = Spec { cwd: "/nonexistent".into(), ..shell("") };
    let mut running = launch(spec);
    let Report::Failed { stage, errno } = running.next().await else { panic!("it started") };
    assert_eq!((stage.as_str(), errno), ("cwd", Errno::NOENT.raw_os_error()));
    let failure = failed(&stage, errno, "node".as_ref(), "/nonexistent".as_ref());
    assert_eq!(failure.code, Some(Code::SpawnFailed));
    assert!(failure.message.contains("/nonexistent (ENOENT, "), "{failure}");
}

#[tokio::test]
async fn killed_it_is_reaped_and_reported() {
    let (mut running, mut output, _input) = launch_living("");
    let pid = started(&mut running).await;
    running.kill();
    assert_eq!(running.next().await, Report::Signaled { signal: Signal::KILL.as_raw() });
    assert!(!exists(pid));
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn where_a_pidfd_takes_no_signal_it_is_killed_all_the_same() {
    let (mut running, _output, _input) = launch_living("");
    let pid = started(&mut running).await;
    running.without_pidfd_signals();
    running.kill();
    assert_eq!(running.next().await, Report::Signaled { signal: Signal::KILL.as_raw() });
    assert!(!exists(pid));
}

#[tokio::test]
async fn killed_before_its_start_was_heard_of_it_is_reaped_and_reported() {
    let (mut running, _output, _input) = launch_living("");
    running.kill();
    let pid = started(&mut running).await;
    assert_eq!(running.next().await, Report::Signaled { signal: Signal::KILL.as_raw() });
    assert!(!exists(pid));
}

#[tokio::test]
async fn released_it_lives_on_with_another_parent() {
    let (mut running, mut output, mut input) = launch_living("read line <&4; echo still here >&3;");
    let launcher = running.launcher_pid().unwrap();
    let pid = started(&mut running).await;
    assert_eq!(status(pid, "PPid"), launcher.to_string());
    running.release();
    assert_eq!(running.next().await, Report::Released);
    assert!(!exists(launcher));
    assert_ne!(status(pid, "PPid"), launcher.to_string());
    input.write_all(b"go on\n").unwrap();
    let mut line = [0; 11];
    output.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"still here\n");
    running.kill();
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn one_that_died_before_the_release_is_reported_dead() {
    let (mut running, _output, input) = launch_living("");
    started(&mut running).await;
    drop(input);
    let pidfd = running.pidfd().unwrap();
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();
    running.release();
    assert_eq!(running.next().await, Report::Exited { code: 1 });
}

#[tokio::test]
async fn without_its_launcher_it_can_still_be_killed() {
    let (mut running, mut output, _input) = launch_living("");
    let launcher = running.launcher_pid().unwrap();
    let pid = started(&mut running).await;
    kill(launcher, Signal::KILL);
    assert_eq!(running.next().await, Report::Gone);
    assert!(!exists(launcher) && exists(pid));
    running.kill();
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn dropping_the_launcher_reaps_it_and_leaves_the_new_generation_alone() {
    let (mut running, mut output, input) = launch_living("read line <&4; echo still here >&3;");
    let launcher = running.launcher_pid().unwrap();
    started(&mut running).await;
    drop(running);
    assert!(!exists(launcher));
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "still here\n");
}

#[tokio::test]
async fn a_report_survives_a_cancelled_wait() {
    let (mut running, _output, input) = launch_living("");
    let pid = started(&mut running).await;
    for _ in 0..3 {
        tokio::select! {
            biased;
            report = running.next() => panic!("too early: {report:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(input);
    assert_eq!(running.next().await, Report::Exited { code: 1 });
    assert_eq!(running.pid(), Some(pid));
}

#[tokio::test]
async fn without_memfd_the_launcher_runs_from_its_file() {
    set_launcher_path(env!("SHELLFLIP_LAUNCHER"));
    let mut running = start(&Image::without_memory(), shell("exit 3")).unwrap().into_async().unwrap();
    started(&mut running).await;
    assert_eq!(running.next().await, Report::Exited { code: 3 });
}

/// Not a test: the old generation of the one below, which kills it.
#[test]
#[ignore = "run by the_new_generation_outlives_the_old_one"]
fn old_generation() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut running = launch(shell("echo launcher $PPID; read line; echo lives on: $line"));
        started(&mut running).await;
        running.next().await
    });
}

#[test]
fn the_new_generation_outlives_the_old_one_and_the_launcher_does_not() {
    let mut old = Command::new(std::env::current_exe().unwrap())
        .args(["spawn::tests::life::old_generation", "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(old.stdout.take().unwrap());
    let mut input = old.stdin.take().unwrap();
    let mut line = String::new();
    let launcher = loop {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut output, &mut line).unwrap(), 0, "it never started");
        if let Some((_, pid)) = line.trim_end().split_once("launcher ") {
            break pid.parse::<i32>().unwrap();
        }
    };
    let pidfd =
        rustix::process::pidfd_open(Pid::from_raw(launcher).unwrap(), rustix::process::PidfdFlags::empty()).unwrap();
    old.kill().unwrap();
    old.wait().unwrap();
    poll(&mut [PollFd::new(&pidfd.as_fd(), PollFlags::IN)], None).unwrap();
    input.write_all(b"yes\n").unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "lives on: yes\n");
}
