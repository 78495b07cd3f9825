//! Messages on the wire: a length, a header and a payload. Pure, but for the buffer that a stream is
//! read through.

use crate::xdr::{self, Decode, Encode, Reader, XdrError};
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest message that is taken, in bytes. libvirt's own bound is 32 MiB
/// (`VIR_NET_MESSAGE_MAX`); the states of as many domains as libvirt lists (16,384) are about 3 MiB.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// The length (`VIR_NET_MESSAGE_LEN_MAX`) and the header (`VIR_NET_MESSAGE_HEADER_MAX`), in bytes.
const LENGTH_SIZE: usize = 4;
const HEADER_SIZE: usize = 24;

/// How much is read at once, in bytes.
const READ_AT_ONCE: usize = 64 << 10;

/// What kind of message it is (`virNetMessageType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call of the client's.
    Call,
    /// An answer of the server's.
    Reply,
    /// Told without having been asked.
    Message,
    /// One of the kinds that Innkeeper asks for nowhere: streams, and descriptors sent along.
    Other(u32),
}

impl From<u32> for Kind {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Call,
            1 => Self::Reply,
            2 => Self::Message,
            other => Self::Other(other),
        }
    }
}

impl From<Kind> for u32 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Call => 0,
            Kind::Reply => 1,
            Kind::Message => 2,
            Kind::Other(other) => other,
        }
    }
}

/// How it went (`virNetMessageStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Well.
    Ok,
    /// The payload says what went wrong.
    Error,
}

/// What stands before a payload (`virNetMessageHeader`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The family of procedures.
    pub(crate) program: u32,
    /// Its version.
    pub(crate) version: u32,
    /// Which of them.
    pub(crate) procedure: i32,
    /// What kind of message it is.
    pub(crate) kind: Kind,
    /// Which call it is, or answers; 0 in what nobody asked for.
    pub(crate) serial: u32,
    /// How it went.
    pub(crate) status: Status,
}

impl Encode for Header {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.program, self.version, self.procedure).encode(out);
        let status = match self.status {
            Status::Ok => 0_u32,
            Status::Error => 1,
        };
        (u32::from(self.kind), self.serial, status).encode(out);
    }
}

impl Decode for Header {
    const LEAST: usize = HEADER_SIZE;

    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
        let (program, version, procedure) = Decode::decode(input)?;
        let (kind, serial, status): (u32, u32, u32) = Decode::decode(input)?;
        let status = match status {
            0 => Status::Ok,
            1 => Status::Error,
            // Of streams, which are not asked for.
            other => return Err(XdrError::UnknownChoice(other)),
        };
        Ok(Self { program, version, procedure, kind: kind.into(), serial, status })
    }
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) payload: Bytes,
}

/// A message, ready to be sent.
pub(crate) fn message(header: &Header, payload: &impl Encode) -> Vec<u8> {
    let mut out = vec![0; LENGTH_SIZE];
    header.encode(&mut out);
    payload.encode(&mut out);
    let length = u32::try_from(out.len()).expect("Innkeeper's messages are short");
    out[..LENGTH_SIZE].copy_from_slice(&length.to_be_bytes());
    out
}

/// Why a stream cannot be read on: where its next message begins is not known any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// It failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// It ended; in the middle of a message or not.
    #[error("libvirt closed the connection")]
    Closed,
    /// A length that no message has.
    #[error("libvirt announced a message of {0} bytes, and the most is {MAX_MESSAGE}")]
    Length(u32),
    /// A header that is none.
    #[error("libvirt sent a message that is none")]
    Header(#[source] XdrError),
}

/// The messages of a stream, one after the other.
#[derive(Debug)]
pub(crate) struct Frames<S> {
    stream: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + Unpin> Frames<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    #[cfg(test)]
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// The next message. A cancelled call loses nothing. The buffer grows with what arrives, not with
    /// what is announced.
    pub(crate) async fn next(&mut self) -> Result<Frame, FrameError> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer)? {
                return Ok(frame);
            }
            self.buffer.reserve(READ_AT_ONCE);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(FrameError::Closed);
            }
        }
    }
}

/// Takes the first message out of a buffer, if all of it is there.
fn take_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(announced) = buffer.first_chunk::<LENGTH_SIZE>() else { return Ok(None) };
    let announced = u32::from_be_bytes(*announced);
    let length = usize::try_from(announced).unwrap_or(usize::MAX);
    if !(LENGTH_SIZE + HEADER_SIZE..=MAX_MESSAGE).contains(&length) {
        return Err(FrameError::Length(announced));
    }
    if buffer.len() < length {
        return Ok(None);
    }
    let mut payload = buffer.split_to(length).freeze();
    payload.advance(LENGTH_SIZE);
    let header = payload.split_to(HEADER_SIZE);
    let header = xdr::decode_whole(&header).map_err(FrameError::Header)?;
    Ok(Some(Frame { header, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection, prelude::*};

    const HEADER: Header = Header {
        program: 0x2000_8086,
        version: 1,
        procedure: 344,
        kind: Kind::Reply,
        serial: 9,
        status: Status::Error,
    };

    #[test]
    fn a_message_is_as_libvirt_writes_it() {
        let message = message(&HEADER, &7_u32);
        let words: [u32; 8] = [32, 0x2000_8086, 1, 344, 1, 9, 1, 7];
        let expected: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(message, expected);
    }

    #[test]
    fn lengths_that_no_message_has_are_refused_before_anything_is_awaited() {
        for length in [0, 3, 27, 16 * 1024 * 1024 + 1, 32 * 1024 * 1024, u32::MAX] {
            let mut buffer = BytesMut::from(length.to_be_bytes().as_slice());
            let refused = take_frame(&mut buffer);
            assert!(matches!(refused, Err(FrameError::Length(of)) if of == length), "{length}");
        }
        let mut buffer = BytesMut::from(16_777_216_u32.to_be_bytes().as_slice());
        assert!(take_frame(&mut buffer).expect("it may still come").is_none());
    }

    proptest! {
        /// However a stream is cut into pieces, the messages are the same.
        #[test]
        fn messages_come_whole(payloads in collection::vec(any::<String>(), 0..8), piece in 1_usize..100) {
            let sent: Vec<u8> = payloads.iter().flat_map(|text| message(&HEADER, text)).collect();
            let mut buffer = BytesMut::new();
            let mut read = Vec::new();
            for piece in sent.chunks(piece) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = take_frame(&mut buffer).expect("they are well made") {
                    prop_assert_eq!(frame.header, HEADER);
                    read.push(xdr::decode_whole::<String>(&frame.payload).expect("it is a text"));
                }
            }
            prop_assert_eq!(read, payloads);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn garbage_ends_the_stream_or_is_awaited(bytes: Vec<u8>) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            while let Ok(Some(_)) = take_frame(&mut buffer) {}
        }
    }
}
