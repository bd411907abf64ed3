//! The launcher's control socket: START as the launcher reads it, reports as the old generation does.

use shellflip_launcher::{Command, HEADER_LEN, Header, MAX_DESCRIPTORS, MAX_START, REPORT_LEN, Report, Start};

/// Header and payload, and once more as a bare payload, a report and a command.
pub fn launcher(bytes: &[u8]) {
    if let Some((header, payload)) = bytes.split_first_chunk::<HEADER_LEN>()
        && let Some(header) = Header::decode(*header)
    {
        assert!((3..=MAX_DESCRIPTORS).contains(&header.descriptors) && header.length <= MAX_START);
        payload.get(..header.length).map(start);
    }
    start(bytes);
    if let Some(report) = bytes.first_chunk::<REPORT_LEN>().copied().and_then(Report::decode) {
        assert_eq!(Report::decode(report.encode()), Some(report));
    }
    if let Some(command) = bytes.first().copied().and_then(Command::from_byte) {
        assert_eq!(command.byte(), bytes[0]);
    }
}

fn start(payload: &[u8]) {
    let Some(start) = Start::decode(payload) else { return };
    let again = start.encode(3).unwrap();
    assert_eq!(again.len() - HEADER_LEN, payload.len(), "nothing is made up or left out");
    assert_eq!(Start::decode(&again[HEADER_LEN..]), Some(start));
}
