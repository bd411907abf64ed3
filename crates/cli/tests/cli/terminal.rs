use crate::fake::Fake;
use crate::shellflip;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

/// Runs it with stdout and stderr on a terminal; what the terminal showed.
fn on_a_terminal(command: &mut Command) -> (Option<i32>, String) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    command.env("TERM", "xterm").stdout(terminal.try_clone().unwrap()).stderr(terminal.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    let code = child.wait().unwrap().code();
    // The command holds its copies until it is given others.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    drop(terminal);
    // What was written comes in pieces; EIO is the end, once nobody holds the other side (pty(7)).
    let (mut screen, mut shown, mut piece) = (File::from(screen), Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = screen.read(&mut piece) {
        shown.extend_from_slice(&piece[..read]);
    }
    (code, String::from_utf8(shown).unwrap())
}

#[test]
fn a_restart_shows_what_it_waits_for_and_wipes_it() {
    let fake = Fake::start("slow");
    let (code, shown) = on_a_terminal(shellflip(&["restart", "--socket"]).arg(fake.socket()));
    assert_eq!(code, Some(0));
    assert!(shown.contains("\r\x1b[Kwaiting for ready (pid 4321), 0."), "{shown:?}");
    let (_, last) = shown.rsplit_once("\r\x1b[K").unwrap();
    assert!(last.starts_with("generation 4 is ready (pid"), "{shown:?}");
}

#[test]
fn colours_are_for_terminals_whose_user_did_not_refuse_them() {
    let fake = Fake::start("ready");
    let (_, shown) = on_a_terminal(shellflip(&["status", "--socket"]).arg(fake.socket()));
    assert!(shown.contains("\x1b[32mready\x1b[0m"), "{shown:?}");
    let (_, shown) = on_a_terminal(shellflip(&["status", "--socket"]).arg(fake.socket()).env("NO_COLOR", "1"));
    assert!(!shown.contains('\x1b'), "{shown:?}");
}

#[test]
fn a_dumb_terminal_gets_no_line_to_rewrite() {
    let fake = Fake::start("slow");
    let mut command = Command::new("env");
    command.args(["TERM=dumb", env!("CARGO_BIN_EXE_shellflip"), "restart", "--socket"]).arg(fake.socket());
    let (code, shown) = on_a_terminal(&mut command);
    assert_eq!(code, Some(0));
    assert!(!shown.contains('\x1b'), "{shown:?}");
}
