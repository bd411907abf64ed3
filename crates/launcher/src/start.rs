//! START: what to run. Byte strings throughout, since arguments and environment need not be UTF-8.

use crate::{MAX_DESCRIPTORS, MAX_START, VERSION};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The length of a [`Header`] on the wire.
pub const HEADER_LEN: usize = 6;

/// What precedes the payload of a START.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How many descriptors travel with it.
    pub descriptors: usize,
    /// How many bytes of payload follow.
    pub length: usize,
}

/// One variable of the new generation's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub key: OsString,
    /// Its value.
    pub value: OsString,
    /// Whether `{pid}` in the value becomes the new generation's pid.
    pub pid_bound: bool,
}

/// What to run, where, and with which environment. The descriptors travel beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Start {
    /// The program: a path if it has a `/`, else looked for in the PATH of `env`.
    pub file: OsString,
    /// The directory to enter first.
    pub cwd: OsString,
    /// The arguments, `argv[0]` first.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<Variable>,
}

impl Header {
    /// Reads a header; `None` if it is of another version or beyond the limits.
    pub fn decode(bytes: [u8; HEADER_LEN]) -> Option<Self> {
        let [version, descriptors, length @ ..] = bytes;
        let header = Header { descriptors: descriptors.into(), length: u32::from_le_bytes(length) as usize };
        let sound =
            version == VERSION && (3..=MAX_DESCRIPTORS).contains(&header.descriptors) && header.length <= MAX_START;
        sound.then_some(header)
    }
}

impl Start {
    /// Header and payload, for a START that travels with so many descriptors; `None` beyond the limits.
    pub fn encode(&self, descriptors: usize) -> Option<Vec<u8>> {
        if !(3..=MAX_DESCRIPTORS).contains(&descriptors) {
            return None;
        }
        let mut frame = vec![VERSION, u8::try_from(descriptors).ok()?, 0, 0, 0, 0];
        put_bytes(&mut frame, &self.file)?;
        put_bytes(&mut frame, &self.cwd)?;
        put_number(&mut frame, self.args.len())?;
        for argument in &self.args {
            put_bytes(&mut frame, argument)?;
        }
        put_number(&mut frame, self.env.len())?;
        for variable in &self.env {
            put_bytes(&mut frame, &variable.key)?;
            put_bytes(&mut frame, &variable.value)?;
            frame.push(variable.pid_bound.into());
        }
        let length = frame.len() - HEADER_LEN;
        if length > MAX_START {
            return None;
        }
        frame[2..HEADER_LEN].copy_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
        Some(frame)
    }

    /// Reads a payload; `None` if it is cut short or has bytes left over.
    pub fn decode(mut payload: &[u8]) -> Option<Self> {
        let input = &mut payload;
        let file = take_bytes(input)?;
        let cwd = take_bytes(input)?;
        let args = (0..take_number(input)?).map(|_| take_bytes(input)).collect::<Option<_>>()?;
        let env = (0..take_number(input)?).map(|_| take_variable(input)).collect::<Option<_>>()?;
        payload.is_empty().then_some(Start { file, cwd, args, env })
    }
}

fn put_number(frame: &mut Vec<u8>, number: usize) -> Option<()> {
    frame.extend(u32::try_from(number).ok()?.to_le_bytes());
    Some(())
}

fn put_bytes(frame: &mut Vec<u8>, text: &OsStr) -> Option<()> {
    put_number(frame, text.len())?;
    frame.extend(text.as_bytes());
    Some(())
}

fn take_number(input: &mut &[u8]) -> Option<usize> {
    let (number, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(u32::from_le_bytes(*number) as usize)
}

fn take_bytes(input: &mut &[u8]) -> Option<OsString> {
    let length = take_number(input)?;
    let (text, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(OsString::from_vec(text.to_vec()))
}

fn take_variable(input: &mut &[u8]) -> Option<Variable> {
    let key = take_bytes(input)?;
    let value = take_bytes(input)?;
    let (bound, rest) = input.split_first()?;
    *input = rest;
    Some(Variable { key, value, pid_bound: *bound != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Start {
        let odd = OsString::from_vec(vec![0xff, b' ', 0xfe]);
        let variable = |key: &str, value: OsString, pid_bound| Variable { key: key.into(), value, pid_bound };
        Start {
            file: "node".into(),
            cwd: "/tmp/ü".into(),
            args: vec!["node".into(), "".into(), odd.clone()],
            env: vec![variable("A", odd, false), variable("LISTEN_PID", "{pid}".into(), true)],
        }
    }

    fn header(frame: &[u8]) -> Option<Header> {
        Header::decode(*frame.first_chunk()?)
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let frame = sample().encode(3).unwrap();
        let header = header(&frame).unwrap();
        assert_eq!(header, Header { descriptors: 3, length: frame.len() - HEADER_LEN });
        assert_eq!(Start::decode(&frame[HEADER_LEN..]), Some(sample()));
    }

    #[test]
    fn a_payload_cut_anywhere_or_with_bytes_left_over_is_refused() {
        let frame = sample().encode(3).unwrap();
        for end in HEADER_LEN..frame.len() {
            assert_eq!(Start::decode(&frame[HEADER_LEN..end]), None);
        }
        let longer = [&frame[HEADER_LEN..], &[0]].concat();
        assert_eq!(Start::decode(&longer), None);
    }

    #[test]
    fn another_version_or_more_than_the_limits_is_refused() {
        let mut frame = sample().encode(3).unwrap();
        frame[0] = VERSION + 1;
        assert_eq!(header(&frame), None);
        assert_eq!(sample().encode(2), None);
        assert_eq!(sample().encode(MAX_DESCRIPTORS + 1), None);
        let huge = Start { args: vec![OsString::from_vec(vec![b'a'; MAX_START])], ..sample() };
        assert_eq!(huge.encode(3), None);
    }
}
