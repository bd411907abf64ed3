use crate::fake::Fake;
use crate::run;

#[test]
fn a_table_shows_this_generation_and_the_draining_ones() {
    let fake = Fake::with_draining("ready", 1200);
    let told = run(&["status"], &fake.socket());
    assert_eq!((told.code, &*told.err), (Some(0), ""));
    let lines: Vec<_> = told.out.lines().collect();
    let words =
        |line: &str| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = lines.iter().map(|line| words(line)).collect();
    let headings = ["GENERATION", "PHASE", "PID", "AGE", "LISTENERS", "CONNECTIONS", "IN FLIGHT", "MOVED"];
    assert_eq!(rows[0], headings);
    let pid = fake.pid().to_string();
    assert_eq!(rows[1], ["4", "ready", &pid, "4m 3s", "web [::1]:8080, /run/web.sock", "12", "3", "0"]);
    assert_eq!(rows[2], ["3", "draining", "1200", "4.2s", "-", "-", "-", "-"]);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0].find("PHASE"), lines[1].find("ready"), "aligned:\n{}", told.out);
}

#[test]
fn json_is_what_the_service_says() {
    let fake = Fake::start("ready");
    let json = run(&["status", "--json"], &fake.socket()).json();
    assert_eq!((&json["generation"], &json["pid"]), (&4.into(), &fake.pid().into()));
    assert_eq!(json["listeners"][0]["address"]["port"], 8080);
}

#[test]
fn a_rust_service_runs_but_has_no_status() {
    let fake = Fake::start("rust");
    let told = run(&["status"], &fake.socket());
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains(&format!("pid {}", fake.pid())) && told.err.contains("Rust"), "{told:?}");
    assert_eq!(run(&["status", "--json"], &fake.socket()).json()["code"], "ERR_SHELLFLIP_UNSUPPORTED");
}

#[test]
fn a_busy_service_is_named_so() {
    let fake = Fake::start("busy");
    let told = run(&["status"], &fake.socket());
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("busy"), "{told:?}");
    // A restart is worth more than the number of its generation.
    let done = run(&["restart"], &fake.socket());
    assert!(done.out.starts_with("ready (pid"), "{done:?}");
}
