use crate::fake::Fake;
use crate::shellflip;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::Read;
use std::process::Command;

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
    // A terminal keeps what was written to it as long as one end of it is open.
    let mut shown = vec![0; 64 * 1024];
    let length = File::from(screen).read(&mut shown).unwrap();
    drop(terminal);
    (code, String::from_utf8(shown[..length].to_vec()).unwrap())
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
