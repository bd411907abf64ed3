//! The wire: a u32 big-endian length, then JSON. The crate's own messages are written and read with the crate's own
//! types; only where those refuse is one of ours looked for. An answer of the crate's never carries an extra key.

use super::{Answer, Ask};
use crate::Failure;
use serde::{Deserialize, Serialize};
use shellflip::restart_coordination_socket::{RestartMessage, RestartRequest, RestartResponse};
use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest question a server reads, in bytes.
pub const MAX_QUESTION: usize = 64 * 1024;
/// The longest answer a client reads, in bytes: a status may list many listeners.
pub const MAX_ANSWER: usize = 1024 * 1024;

#[derive(Serialize, Deserialize)]
enum Ours {
    Request(OurRequest),
    Response(OurResponse),
}

#[derive(Serialize, Deserialize)]
enum OurRequest {
    Status,
    Stop,
}

#[derive(Serialize, Deserialize)]
enum OurResponse {
    Status(serde_json::Value),
    Stopping(u32),
}

/// Reads one frame. Not cancel-safe: a reader that gives up must close the connection.
pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<Vec<u8>> {
    let length = from.read_u32().await? as usize;
    if length > limit {
        return Err(Error::new(ErrorKind::InvalidData, format!("a frame of {length} bytes; the limit is {limit}")));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok(body)
}

/// Writes one frame at once.
pub(crate) async fn write(to: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    to.write_all(&frame).await?;
    to.flush().await
}

/// The crate's message for a restart.
pub(crate) fn try_restart() -> RestartMessage {
    RestartMessage::Request(RestartRequest::TryRestart)
}

/// The JSON of a question.
pub(crate) fn encode_ask(ask: Ask) -> Result<Vec<u8>> {
    Ok(match ask {
        Ask::Restart => serde_json::to_vec(&try_restart())?,
        Ask::Status => serde_json::to_vec(&Ours::Request(OurRequest::Status))?,
        Ask::Stop => serde_json::to_vec(&Ours::Request(OurRequest::Stop))?,
    })
}

/// The question in a frame; anything else is an error.
pub(crate) fn decode_ask(body: &[u8]) -> Result<Ask> {
    if let Ok(RestartMessage::Request(RestartRequest::TryRestart)) = serde_json::from_slice(body) {
        return Ok(Ask::Restart);
    }
    match serde_json::from_slice(body)? {
        Ours::Request(OurRequest::Status) => Ok(Ask::Status),
        Ours::Request(OurRequest::Stop) => Ok(Ask::Stop),
        Ours::Response(_) => Err(Error::new(ErrorKind::InvalidData, "an answer where a question was expected")),
    }
}

/// The JSON of an answer.
pub(crate) fn encode_answer(answer: Answer) -> Result<Vec<u8>> {
    Ok(match answer {
        Answer::Complete(pid) => encode_response(RestartResponse::RestartComplete(pid))?,
        Answer::Failed(failure) => encode_response(RestartResponse::RestartFailed(failure.wire()))?,
        Answer::Status(status) => serde_json::to_vec(&Ours::Response(OurResponse::Status(status)))?,
        Answer::Stopping(pid) => serde_json::to_vec(&Ours::Response(OurResponse::Stopping(pid)))?,
    })
}

fn encode_response(response: RestartResponse) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&RestartMessage::Response(response))?)
}

/// The answer in one of the crate's messages.
pub(crate) fn crate_answer(message: RestartMessage) -> Result<Answer> {
    match message {
        RestartMessage::Response(RestartResponse::RestartComplete(pid)) => Ok(Answer::Complete(pid)),
        RestartMessage::Response(RestartResponse::RestartFailed(text)) => Ok(Answer::Failed(Failure::from_wire(&text))),
        RestartMessage::Request(_) => {
            Err(Error::new(ErrorKind::InvalidData, "a question where an answer was expected"))
        }
    }
}

/// The answer in a frame; anything else is an error.
pub(crate) fn decode_answer(body: &[u8]) -> Result<Answer> {
    if let Ok(message) = serde_json::from_slice(body) {
        return crate_answer(message);
    }
    match serde_json::from_slice(body)? {
        Ours::Response(OurResponse::Status(status)) => Ok(Answer::Status(status)),
        Ours::Response(OurResponse::Stopping(pid)) => Ok(Answer::Stopping(pid)),
        Ours::Request(_) => Err(Error::new(ErrorKind::InvalidData, "a question where an answer was expected")),
    }
}
