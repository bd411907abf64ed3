//! The coordination socket: questions as a server reads them, answers as a client does.

use crate::coordination::frame::{
    MAX_ANSWER, MAX_QUESTION, decode_answer, decode_ask, encode_answer, encode_ask, read,
};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncReadExt;

/// The first byte says where the stream is cut in two.
pub fn frames(bytes: &[u8]) {
    let Some((&cut, stream)) = bytes.split_first() else { return };
    let (before, after) = stream.split_at(usize::from(cut).min(stream.len()));
    for limit in [MAX_QUESTION, MAX_ANSWER] {
        let mut input = before.chain(after);
        let mut whole = stream;
        loop {
            let read_cut = at_once(read(&mut input, limit)).ok();
            assert_eq!(read_cut, at_once(read(&mut whole, limit)).ok(), "where it was cut makes a difference");
            let Some(body) = read_cut else { break };
            assert!(body.len() <= limit);
            look(&body);
        }
    }
    look(stream);
}

/// What is understood is understood the same once it has been written again.
fn look(body: &[u8]) {
    let ask = decode_ask(body).ok();
    let answer = decode_answer(body).ok();
    assert!(ask.is_none() || answer.is_none(), "a question and an answer at once");
    if let Some(ask) = ask {
        assert_eq!(decode_ask(&encode_ask(ask).unwrap()).unwrap(), ask);
    }
    if let Some(answer) = answer {
        decode_answer(&encode_answer(answer).unwrap()).unwrap();
    }
}

/// Bytes in memory make nobody wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a reader that waits for more than there will be"),
    }
}
