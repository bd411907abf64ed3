use super::super::path::World;
use crate::Code;
use crate::coordination::bind;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn world() -> (TempDir, World) {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().to_owned();
    let uid = rustix::process::geteuid().as_raw();
    (directory, World { socket: None, runtime_directory: None, xdg_runtime_dir: None, temporary, uid })
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_variables_decide_in_their_order() {
    let (directory, mut world) = world();
    let xdg = directory.path().join("xdg");
    std::fs::create_dir(&xdg).unwrap();
    set_mode(&xdg, 0o700);
    world.xdg_runtime_dir = Some(xdg.clone().into());
    let derived = world.default_path("shop", "/srv/shop.js").unwrap();
    assert_eq!(derived.parent(), Some(&*xdg));
    assert_eq!(derived.file_name().unwrap(), "shop-959b30235d3800c9.sock");
    world.runtime_directory = Some("/run/shop:/run/more".into());
    assert_eq!(world.default_path("shop", "").unwrap(), PathBuf::from("/run/shop/shellflip.sock"));
    world.socket = Some("/run/mine.sock".into());
    assert_eq!(world.default_path("shop", "").unwrap(), PathBuf::from("/run/mine.sock"));
}

#[test]
fn the_fallback_is_created_private_and_checked() {
    let (directory, mut world) = world();
    // Open to others, so it is not the session's: ignored.
    set_mode(directory.path(), 0o755);
    world.xdg_runtime_dir = Some(directory.path().into());
    let path = world.default_path("shop", "/srv/shop.js").unwrap();
    let parent = path.parent().unwrap();
    assert_eq!(parent, directory.path().join(format!("shellflip-{}", world.uid)));
    assert_eq!(parent.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(world.default_path("shop", "/srv/shop.js").unwrap(), path, "the same every time");
    assert_ne!(world.default_path("shop", "/srv/other.js").unwrap(), path);

    set_mode(parent, 0o755);
    let failure = world.default_path("shop", "").unwrap_err();
    assert_eq!(failure.code, Some(Code::InvalidArg));
    assert!(failure.message.contains(&*parent.to_string_lossy()), "{failure}");
    std::fs::remove_dir(parent).unwrap();
    std::os::unix::fs::symlink("/tmp", parent).unwrap();
    assert_eq!(world.default_path("shop", "").unwrap_err().code, Some(Code::InvalidArg));
    std::fs::remove_file(parent).unwrap();
    world.uid += 1;
    let failure = world.default_path("shop", "").unwrap_err();
    assert!(failure.message.contains(&format!("shellflip-{}", world.uid)), "{failure}");
}

#[test]
fn any_name_makes_a_path_that_can_be_bound() {
    let (directory, mut world) = world();
    let long = directory.path().join("l".repeat(60 - directory.path().as_os_str().len()));
    std::fs::create_dir(&long).unwrap();
    world.temporary = long;
    for name in ["", "@shop/web", "../../etc", "…", &"n".repeat(300), "a b\nc"] {
        let path = world.default_path(name, "x").unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(file.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{file}");
        bind(&path).unwrap();
    }
}

#[test]
fn discovery_finds_the_live_ones_only() {
    let (directory, mut world) = world();
    assert!(world.discover().live.is_empty());
    let one = bind(&world.default_path("one", "a").unwrap()).unwrap();
    let two = bind(&world.default_path("two", "b").unwrap()).unwrap();
    let private = one.path().parent().unwrap().to_owned();
    drop(bind(&world.default_path("dead", "c").unwrap()).unwrap());
    let _foreign = std::os::unix::net::UnixListener::bind(private.join("bus.sock")).unwrap();
    let pid = Some(std::process::id());
    let found = world.discover();
    assert_eq!(found.live, [(one.path().to_owned(), pid), (two.path().to_owned(), pid)]);
    assert_eq!(found.looked, [private]);

    world.runtime_directory = Some(directory.path().into());
    assert_eq!(world.discover().live.len(), 2, "no shellflip.sock there");
    let managed = bind(&directory.path().join("shellflip.sock")).unwrap();
    assert_eq!(world.discover().live, [(managed.path().to_owned(), pid)]);
    world.socket = Some("/nowhere/s.sock".into());
    let nothing = world.discover();
    assert_eq!((nothing.live, nothing.looked), (vec![], vec![PathBuf::from("/nowhere/s.sock")]));
}
