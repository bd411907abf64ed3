use crate::coordination::{Probe, adopt, bind, probe};
use crate::{Code, Failure};
use rustix::io::Errno;
use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Barrier;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(directory: &Path) -> Vec<String> {
    std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn it_is_born_private_whatever_the_directory_and_goes_when_unlinked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let bound = bind(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(bound.path(), path);
    assert_eq!(names(directory.path()), ["s.sock"]);
    UnixStream::connect(&path).unwrap();
    assert!(bound.unlink());
    assert_eq!(names(directory.path()), Vec::<String>::new());
}

#[test]
fn a_live_one_is_not_taken_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let bound = bind(&path).unwrap();
    let failure = bind(&path).unwrap_err();
    assert_eq!((failure.code, failure.pid), (Some(Code::SocketInUse), Some(std::process::id())));
    assert!(matches!(probe(bound.path()), Probe::Live(Some(pid)) if pid == std::process::id()));
}

#[test]
fn a_live_one_with_a_full_queue_is_not_taken_either() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _queued = UnixStream::connect(&path).unwrap();
    assert!(matches!(probe(&path), Probe::Live(None)));
    assert_eq!(bind(&path).unwrap_err().code, Some(Code::SocketInUse));
}

#[test]
fn a_dead_one_is_replaced_and_leftovers_are_swept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    drop(UnixListener::bind(&path).unwrap());
    for leftover in [".s.sock.1", ".s.sock.99999999", ".other.sock.1"] {
        drop(UnixListener::bind(directory.path().join(leftover)).unwrap());
    }
    std::fs::write(directory.path().join(".s.sock.2"), "a file of somebody's").unwrap();
    let _bound = bind(&path).unwrap();
    UnixStream::connect(&path).unwrap();
    let mut left = names(directory.path());
    left.sort();
    assert_eq!(left, [".other.sock.1", ".s.sock.2", "s.sock"]);
}

#[test]
fn of_many_at_once_exactly_one_wins() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.sock");
        drop(UnixListener::bind(&path).unwrap());
        let barrier = Barrier::new(8);
        let results: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                barrier.wait();
                bind(&path)
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        let losers = results.iter().filter_map(|result| result.as_ref().err());
        assert!(losers.clone().all(|failure| failure.code == Some(Code::SocketInUse)));
        assert_eq!(names(directory.path()), ["s.sock"]);
    }
}

fn refused(path: &Path) -> Failure {
    let parent = path.parent().unwrap();
    let before = std::fs::read_dir(parent).ok().map(|_| names(parent));
    let failure = bind(path).unwrap_err();
    assert_eq!(before, std::fs::read_dir(parent).ok().map(|_| names(parent)), "nothing may be left");
    assert!(failure.message.contains(&*path.to_string_lossy()), "{failure}");
    failure
}

#[test]
fn what_is_not_a_dead_socket_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("target");
    let link = directory.path().join("link");
    symlink(&target, &link).unwrap();
    assert_eq!(refused(&link).code, Some(Code::InvalidArg));
    assert!(!target.exists());
    drop(UnixListener::bind(&target).unwrap());
    assert_eq!(refused(&link).code, Some(Code::InvalidArg));
    std::fs::write(directory.path().join("file"), "kept").unwrap();
    assert_eq!(refused(&directory.path().join("file")).code, Some(Code::InvalidArg));
    assert_eq!(std::fs::read_to_string(directory.path().join("file")).unwrap(), "kept");
    std::fs::create_dir(directory.path().join("sub")).unwrap();
    assert_eq!(refused(&directory.path().join("sub")).code, Some(Code::InvalidArg));
}

#[test]
fn a_directory_open_to_all_is_refused_unless_sticky() {
    let directory = tempfile::tempdir().unwrap();
    let open = directory.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let failure = refused(&open.join("s.sock"));
    assert_eq!(failure.code, Some(Code::InvalidArg));
    assert!(failure.message.contains("chmod"), "{failure}");
    std::fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
    bind(&open.join("s.sock")).unwrap();
}

#[test]
fn unusable_places_are_named_with_the_systems_error() {
    let directory = tempfile::tempdir().unwrap();
    let missing = refused(&directory.path().join("missing/s.sock"));
    assert_eq!((missing.errno, missing.syscall.as_deref()), (Some(Errno::NOENT.raw_os_error()), Some("open")));
    std::fs::write(directory.path().join("file"), "").unwrap();
    let file = refused(&directory.path().join("file/s.sock"));
    assert_eq!(file.errno, Some(Errno::NOTDIR.raw_os_error()));
    if !rustix::process::geteuid().is_root() {
        let closed = directory.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
        let failure = refused(&closed.join("s.sock"));
        assert_eq!((failure.errno, failure.syscall.as_deref()), (Some(Errno::ACCESS.raw_os_error()), Some("bind")));
    }
}

#[test]
fn bad_paths_say_what_is_wrong() {
    for (path, word) in
        [("", "empty"), ("/", "directory"), ("/tmp/..", "directory"), ("/tmp/x/", "directory"), ("a\0b", "NUL")]
    {
        let failure = bind(Path::new(path)).unwrap_err();
        assert_eq!(failure.code, Some(Code::InvalidArg), "{path:?}");
        assert!(failure.message.contains(word), "{failure}");
    }
    let long = format!("/tmp/{}", "x".repeat(200));
    let failure = bind(Path::new(&long)).unwrap_err();
    assert!(failure.message.contains("205 bytes") && failure.message.contains("shorter"), "{failure}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_of_the_longest_length_works() {
    let directory = tempfile::tempdir().unwrap();
    let name = "x".repeat(107 - directory.path().as_os_str().len() - 1);
    let path = directory.path().join(name);
    let bound = bind(&path).unwrap();
    assert_eq!((mode(&path), names(directory.path()).len()), (0o600, 1));
    UnixStream::connect(&path).unwrap();
    assert!(bound.unlink());
}

#[test]
fn somebody_elses_socket_at_our_path_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let bound = bind(&path).unwrap();
    let adopted = adopt(bound.share().unwrap(), Some(path.clone())).unwrap();
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    assert!(!bound.unlink());
    assert!(!adopted.unlink());
    assert!(path.exists());
}

#[test]
fn a_deleted_one_is_made_anew_and_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let mut bound = bind(&path).unwrap();
    assert!(bound.in_place() && bound.is_reached());
    std::fs::remove_file(&path).unwrap();
    assert!(!bound.in_place() && !bound.is_reached());
    let mut renewed = bound.renewed(false).unwrap();
    assert!(renewed.is_reached() && !bound.is_reached());
    assert_eq!((mode(&path), names(directory.path()).len()), (0o600, 1));
    assert!(!bound.unlink());
    assert!(renewed.unlink());
}

#[test]
fn a_path_that_is_another_ones_by_now_is_not_taken_back_while_it_lives() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let bound = bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    assert_eq!(bound.renewed(true).unwrap_err().code, Some(Code::SocketInUse));
    drop(other);
    assert!(bound.renewed(true).unwrap().is_reached());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "kept").unwrap();
    assert_eq!(bound.renewed(true).unwrap_err().code, Some(Code::InvalidArg));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
}

#[test]
fn an_inode_used_again_by_another_process_does_not_pass_for_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let bound = bind(&path).unwrap();
    // The same file, and behind it the socket of a process that has ended.
    let mut imposter = adopt(UnixListener::bind(directory.path().join("other")).unwrap().into(), Some(path)).unwrap();
    drop(bound);
    assert!(imposter.in_place());
    assert!(!imposter.is_reached());
    assert!(!imposter.in_place(), "it is remembered");
}

#[test]
fn only_the_derived_directory_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let ours = directory.path().join(format!("shellflip-{}", rustix::process::geteuid().as_raw()));
    for (parent, derived, comes_back) in [(&ours, true, true), (&ours, false, false), (&ours.join("x"), true, false)] {
        std::fs::create_dir_all(parent).unwrap();
        std::fs::set_permissions(parent, Permissions::from_mode(0o700)).unwrap();
        let bound = bind(&parent.join("s.sock")).unwrap();
        std::fs::remove_dir_all(parent).unwrap();
        let renewed = bound.renewed(derived);
        assert_eq!((renewed.is_ok(), parent.exists()), (comes_back, comes_back), "{renewed:?}");
        if comes_back {
            assert_eq!(mode(parent), 0o700);
        }
        std::fs::remove_dir_all(&ours).unwrap_or_default();
    }
}

#[test]
fn a_renewal_does_not_wait_for_the_directorys_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let bound = bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let locked = std::fs::File::open(directory.path()).unwrap();
    rustix::fs::flock(&locked, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let failure = bound.renewed(false).unwrap_err();
    assert_eq!((failure.errno, failure.syscall.as_deref()), (Some(Errno::AGAIN.raw_os_error()), Some("flock")));
    drop(locked);
    bound.renewed(false).unwrap();
}

#[test]
fn only_a_listening_unix_socket_can_be_adopted() {
    let (one, _other) = UnixStream::pair().unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = tempfile::tempfile().unwrap();
    for fd in [OwnedFd::from(one), tcp.into(), file.into()] {
        assert_eq!(adopt(fd, None).unwrap_err().code, Some(Code::Inheritance));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("of a rust service");
    let adopted = adopt(UnixListener::bind(&path).unwrap().into(), None).unwrap();
    assert_eq!(adopted.path(), path);
    assert!(adopted.unlink());
}
