//! Starting a new generation leaves nothing behind in the old one. Its own program, since it looks at the whole
//! process: its descriptors, children and threads.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // The helpers of a test are no tests to clippy.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shellflip_core::spawn::{Report, Spec, prepare, start};
use std::fs;
use std::os::fd::OwnedFd;

fn spec(file: &str, script: &str) -> Spec {
    Spec {
        file: file.into(),
        args: ["sh".into(), "-c".into(), script.into()].into(),
        env: Vec::new(),
        pid_bound: Vec::new(),
        cwd: "/".into(),
        pass: vec![OwnedFd::from(fs::File::open("/dev/null").unwrap())],
    }
}

/// Descriptors with what they name, children (zombies included) and threads of this process.
fn inventory() -> (Vec<String>, String, usize) {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let target = fs::read_link(&path).ok()?;
        // The listing's own is closed again.
        (!target.ends_with("fd")).then(|| format!("{} {}", path.display(), target.display()))
    });
    let threads: Vec<_> = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path()).collect();
    let children = threads.iter().map(|task| fs::read_to_string(task.join("children")).unwrap()).collect();
    let mut descriptors: Vec<_> = descriptors.collect();
    descriptors.sort();
    (descriptors, children, threads.len())
}

#[test]
fn a_spawn_leaves_nothing_behind_however_it_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let image = prepare().unwrap();
    let before = inventory();
    runtime.block_on(async {
        for (file, script) in [("/bin/sh", "exit 3"), ("/bin/sh", "kill -9 $$"), ("/nonexistent", "")] {
            let mut running = start(&image, spec(file, script)).unwrap().into_async().unwrap();
            while running.next().await != Report::Gone {}
        }
        // Dropped at once, before and after the runtime has it.
        drop(start(&image, spec("/bin/sh", "")).unwrap());
        drop(start(&image, spec("/bin/sh", "")).unwrap().into_async().unwrap());
    });
    assert_eq!(inventory(), before);

    // No descriptor left for the launcher's socket.
    let limit = getrlimit(Resource::Nofile);
    let spec = spec("/bin/sh", "");
    let used = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(used), ..limit }).unwrap();
    let failure = start(&image, spec).unwrap_err();
    setrlimit(Resource::Nofile, limit).unwrap();
    assert_eq!(failure.code, Some(shellflip_core::Code::SpawnFailed));
    assert!(failure.message.contains("EMFILE") && failure.message.contains("ulimit -n"), "{failure}");
    assert_eq!(inventory(), before);
}
