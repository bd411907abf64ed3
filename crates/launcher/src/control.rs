//! The control socket: descriptor 0.

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recv, recvmsg, sendmsg,
};
use shellflip_launcher::{Command, HEADER_LEN, Header, Report, Start};
use std::io::{IoSlice, IoSliceMut, stdin};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// What the old generation said last.
pub enum Heard {
    Command(Command),
    /// It died, or has nothing more to say.
    End,
}

/// Waits for START and the descriptors that came with it. `None`: the old generation is gone.
pub fn receive() -> Result<Option<(Start, Vec<OwnedFd>)>, Errno> {
    let mut descriptors = Vec::new();
    let mut header = [0; HEADER_LEN];
    if !fill(&mut header, &mut descriptors)? {
        return Ok(None);
    }
    let header = Header::decode(header).ok_or(Errno::PROTO)?;
    let mut payload = vec![0; header.length];
    if !fill(&mut payload, &mut descriptors)? {
        return Ok(None);
    }
    let start = Start::decode(&payload).ok_or(Errno::PROTO)?;
    if descriptors.len() != header.descriptors {
        // The kernel drops what finds no room in the table of descriptors.
        return Err(Errno::MFILE);
    }
    Ok(Some((start, descriptors)))
}

/// Reads until the buffer is full; false at the end of the stream.
fn fill(mut buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> Result<bool, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    while !buffer.is_empty() {
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| recvmsg(stdin(), &mut [IoSliceMut::new(buffer)], &mut ancillary, cloexec()))?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(Errno::MFILE);
        }
        if received.bytes == 0 {
            return Ok(false);
        }
        buffer = &mut buffer[received.bytes..];
    }
    #[cfg(not(target_os = "linux"))]
    for descriptor in descriptors.iter() {
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok(true)
}

fn cloexec() -> RecvFlags {
    #[cfg(target_os = "linux")]
    return RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    return RecvFlags::empty();
}

/// Reads one command; to be called when there is something to read. `None`: an unknown one, of a later release.
pub fn hear() -> Option<Heard> {
    let mut byte = [0; 1];
    match retry_on_intr(|| recv(stdin(), &mut byte, RecvFlags::empty())) {
        Ok((_, 1)) => Command::from_byte(byte[0]).map(Heard::Command),
        _ => Some(Heard::End),
    }
}

/// Reports to the old generation.
pub fn report(report: Report) -> Result<(), Errno> {
    report_with(report, None)
}

/// Reports to the old generation, giving it a descriptor.
pub fn report_with(report: Report, descriptor: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(descriptor) = &descriptor {
        ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(descriptor)));
    }
    // So few bytes go whole or not at all.
    let bytes = report.encode();
    retry_on_intr(|| sendmsg(stdin(), &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::empty()))?;
    Ok(())
}
