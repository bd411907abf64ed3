//! What two adjacent generations say to each other over the channel: frames, and nothing that touches a socket.
//!
//! A frame is a header of six bytes (u32 big-endian length of the body, u8 kind, u8 number of descriptors that travel
//! with it) and a body of JSON, or of raw bytes where JSON would be wasteful. A kind nobody knows is skipped together
//! with its descriptors, so that two releases of this package can be neighbours.

mod versions;

pub use versions::Versions;

use crate::listener::{Address, FileId, Source};
use serde::{Deserialize, Serialize};

/// The most a body may hold: a listener's ticket keys and an error text are far below it.
pub const MAX_BODY: usize = 1 << 20;
/// The length of a frame's header.
pub const HEADER: usize = 6;

/// The old side says [`Frame::LetGo`]. One that does not know of it has let go, as far as can be known, with ADOPTED.
pub const LETS_GO: &str = "lets-go";

/// How the state in the handover pipe is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Handover {
    /// Nothing is sent.
    #[default]
    None,
    /// One structured-cloneable value.
    Value,
    /// Bytes that only the application understands (the crate's way).
    Raw,
}

/// A generation that is still draining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drainer {
    /// Its process.
    pub pid: u32,
    /// Its number.
    pub generation: u32,
    /// For how long it has been draining when this was written, in milliseconds.
    #[serde(rename = "sinceMs")]
    pub since_ms: u64,
}

/// The first frame of either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version this side speaks.
    pub version: u32,
    /// The oldest version it understands.
    pub min: u32,
    /// What it does beyond what every release of the version did: [`LETS_GO`].
    #[serde(default)]
    pub features: Vec<String>,
    /// The sender's process.
    pub pid: u32,
    /// The sender's generation.
    pub generation: u32,
    /// From the old side: how to read the handover pipe.
    #[serde(default)]
    pub handover: Handover,
    /// From the old side: where the coordination socket is.
    #[serde(default)]
    pub socket: Option<String>,
    /// From the old side: the generations before it that still drain.
    #[serde(default)]
    pub draining: Vec<Drainer>,
}

impl Hello {
    /// What its sender understands.
    pub fn versions(&self) -> Versions {
        Versions { newest: self.version, oldest: self.min }
    }
}

/// A listening socket on its way to the next generation; its descriptor travels with the frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The name under which it is claimed.
    pub name: String,
    /// Where it listens; the receiver checks it.
    pub address: Address,
    /// What the receiver is to take it for.
    pub source: Source,
    /// Its socket file, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileId>,
    /// TLS ticket keys (48 bytes), so that sessions resume in the new generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tickets: Option<Vec<u8>>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Who is speaking.
    Hello(Hello),
    /// Old to new: a listener (one descriptor).
    Listener(Offered),
    /// Old to new: that was the last listener.
    Given,
    /// Old to new: you may accept now.
    Commit,
    /// New to old: I accept. The point of no return.
    Serving,
    /// Old to new: the coordination socket is yours to answer, and you are the service manager's main process.
    Adopted,
    /// Old to new: I have stopped accepting, and take nothing back any more. The files of the service are yours.
    LetGo,
    /// Old to new: the restart is called off; end. The body says why.
    Abort(String),
    /// New to old: the error that is about to end me.
    Failing(String),
    /// Either way: the service is to stop. New to old once it serves, if the other has yet to let go.
    Shutdown,
    /// New to old: the listener of that name has been claimed.
    Claimed(String),
    /// Of a kind that this release does not know.
    Unknown(u8),
}

impl Frame {
    fn kind(&self) -> u8 {
        match self {
            Frame::Hello(_) => 1,
            Frame::Listener(_) => 2,
            Frame::Given => 3,
            Frame::Commit => 4,
            Frame::Serving => 5,
            Frame::Adopted => 6,
            Frame::Abort(_) => 7,
            Frame::Failing(_) => 8,
            Frame::Shutdown => 9,
            Frame::Claimed(_) => 10,
            Frame::LetGo => 11,
            Frame::Unknown(kind) => *kind,
        }
    }

    /// The frame's bytes. Text that would not fit is cut at a character's boundary.
    pub fn encode(&self) -> Vec<u8> {
        let body = match self {
            // These types have string keys and no fallible parts: they always serialise.
            Frame::Hello(hello) => serde_json::to_vec(hello).unwrap_or_default(),
            Frame::Listener(offered) => serde_json::to_vec(offered).unwrap_or_default(),
            Frame::Abort(text) | Frame::Failing(text) | Frame::Claimed(text) => shortened(text).as_bytes().to_vec(),
            _ => Vec::new(),
        };
        let descriptors = u8::from(matches!(self, Frame::Listener(_)));
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend([self.kind(), descriptors]);
        bytes.extend(body);
        bytes
    }
}

fn shortened(text: &str) -> &str {
    let limit = text.len().min(MAX_BODY / 16);
    let end = (0..=limit).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

/// A frame that cannot be one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The header announces more than [`MAX_BODY`].
    #[error("a frame of {0} bytes was announced, {MAX_BODY} is the limit")]
    TooLong(usize),
    /// The body is not what its kind promises.
    #[error("the body of a frame of kind {0} cannot be read")]
    Body(u8),
}

/// Takes the first whole frame off the front of `bytes`, with the number of descriptors that belong to it;
/// `None` while it is not complete.
pub fn decode(bytes: &mut Vec<u8>) -> Result<Option<(Frame, usize)>, Malformed> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let [a, b, c, d, kind, descriptors] = *header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > MAX_BODY {
        return Err(Malformed::TooLong(length));
    }
    if bytes.len() < HEADER + length {
        return Ok(None);
    }
    let frame: Vec<u8> = bytes.drain(..HEADER + length).collect();
    let body = &frame[HEADER..];
    let text = || String::from_utf8_lossy(body).into_owned();
    let frame = match kind {
        1 => Frame::Hello(serde_json::from_slice(body).map_err(|_| Malformed::Body(kind))?),
        2 => Frame::Listener(serde_json::from_slice(body).map_err(|_| Malformed::Body(kind))?),
        3 => Frame::Given,
        4 => Frame::Commit,
        5 => Frame::Serving,
        6 => Frame::Adopted,
        7 => Frame::Abort(text()),
        8 => Frame::Failing(text()),
        9 => Frame::Shutdown,
        10 => Frame::Claimed(text()),
        11 => Frame::LetGo,
        other => Frame::Unknown(other),
    };
    Ok(Some((frame, descriptors as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> Vec<Frame> {
        vec![
            Frame::Hello(Hello {
                version: 2,
                min: 1,
                features: vec!["x".into()],
                pid: 7,
                generation: 3,
                handover: Handover::Value,
                socket: Some("/run/a.sock".into()),
                draining: vec![Drainer { pid: 6, generation: 2, since_ms: 10 }],
            }),
            Frame::Listener(Offered {
                name: "web".into(),
                address: Address::Tcp { ip: [127, 0, 0, 1].into(), port: 80 },
                source: Source::Generation,
                file: None,
                tickets: Some(vec![1; 48]),
            }),
            Frame::Given,
            Frame::Commit,
            Frame::Serving,
            Frame::Adopted,
            Frame::Abort("why".into()),
            Frame::Failing("Error: ä".into()),
            Frame::Shutdown,
            Frame::Claimed("web".into()),
            Frame::LetGo,
        ]
    }

    #[test]
    fn frames_survive_being_split_at_every_byte() {
        let whole: Vec<u8> = samples().iter().flat_map(Frame::encode).collect();
        for cut in 0..whole.len() {
            let mut seen = Vec::new();
            let mut buffer = Vec::new();
            for part in [&whole[..cut], &whole[cut..]] {
                buffer.extend(part);
                while let Some((frame, _)) = decode(&mut buffer).unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, samples());
        }
    }

    #[test]
    fn a_frame_of_a_later_release_is_skipped() {
        let mut bytes = vec![0, 0, 0, 2, 200, 3, b'x', b'y'];
        bytes.extend(Frame::Commit.encode());
        assert_eq!(decode(&mut bytes).unwrap(), Some((Frame::Unknown(200), 3)));
        assert_eq!(decode(&mut bytes).unwrap(), Some((Frame::Commit, 0)));
    }

    #[test]
    fn a_huge_frame_is_refused_before_it_is_awaited() {
        let mut bytes = vec![0xff, 0xff, 0xff, 0xff, 1, 0];
        assert_eq!(decode(&mut bytes), Err(Malformed::TooLong(0xffff_ffff)));
    }

    #[test]
    fn a_long_error_text_is_cut_between_characters() {
        let mut bytes = Frame::Failing("ä".repeat(MAX_BODY)).encode();
        let Some((Frame::Failing(text), 0)) = decode(&mut bytes).unwrap() else { panic!("not a Failing frame") };
        assert!(text.len() <= MAX_BODY / 16 && text.chars().all(|c| c == 'ä'));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            while let Ok(Some(_)) = decode(&mut bytes) {}
        }
    }
}
