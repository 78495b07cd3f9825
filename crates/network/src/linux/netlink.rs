//! The kernel's own protocol for links, addresses, routes and queues (rtnetlink), and for the firewall's sets
//! (nfnetlink), as far as it is needed: writing a request, sending it, and reading the answers.
//!
//! A crate would do this too, in 13 s of compiling and with its own runtime; the dozen messages that
//! Innkeeper sends are answered within microseconds, so they are sent and awaited in place. What they
//! say is in [`links`](super::links) and [`elements`](super::elements).

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink, recv, send,
        socket_with, sockopt::set_socket_recv_buffer_size_force,
    },
};
use std::{io, os::fd::OwnedFd};

/// The header of a message: length, type, flags, sequence number, port.
const HEADER: usize = 16;
/// The header of an attribute: length and type.
const ATTRIBUTE_HEADER: usize = 4;
/// An attribute that has attributes in it; kernels that check strictly want it said.
const NESTED: u16 = 1 << 15;
/// The bits of an attribute's type that are flags.
const TYPE_FLAGS: u16 = NESTED | 1 << 14;
/// The largest answer that the kernel puts into one datagram of a dump is 32 KiB.
pub(super) const RECEIVE_BUFFER: usize = 64 << 10;

/// What is asked for, beside the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    /// Nothing: a mark, which is not answered.
    Mark,
    /// One thing, or that something be changed.
    Plain,
    /// That something be made, which must not be there.
    Create,
    /// That something be made, beside others of its kind; not the same twice.
    Append,
    /// That something be made, in place of what is there.
    Replace,
    /// A list of all.
    Dump,
}

impl Ask {
    const fn flags(self) -> u16 {
        const REQUEST: u16 = 0x1;
        const ACK: u16 = 0x4;
        REQUEST
            | match self {
                Self::Mark => 0,
                Self::Plain => ACK,
                Self::Create => ACK | 0x200 | 0x400,
                Self::Append => ACK | 0x400 | 0x800,
                Self::Replace => ACK | 0x100 | 0x400,
                Self::Dump => 0x100 | 0x200,
            }
    }
}

/// A request that is being written.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request of this type, with the fixed part that its family of messages begins with.
    pub(crate) fn new(message_type: u16, ask: Ask, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&message_type.to_ne_bytes());
        bytes[6..8].copy_from_slice(&ask.flags().to_ne_bytes());
        bytes.extend_from_slice(fixed);
        pad(&mut bytes);
        Self { bytes }
    }

    /// With an attribute.
    pub(crate) fn with(mut self, attribute: u16, value: &[u8]) -> Self {
        let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&attribute.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        pad(&mut self.bytes);
        self
    }

    /// With a text, which ends with a NUL.
    pub(crate) fn with_text(self, attribute: u16, text: &str) -> Self {
        let bytes: Vec<u8> = text.bytes().chain([0]).collect();
        self.with(attribute, &bytes)
    }

    /// With a number of 32 bits.
    pub(crate) fn with_u32(self, attribute: u16, number: u32) -> Self {
        self.with(attribute, &number.to_ne_bytes())
    }

    /// With an attribute that others are in.
    pub(crate) fn with_nested(mut self, attribute: u16, within: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self = within(self.with(attribute | NESTED, &[]));
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

impl Request {
    /// The message, with its length and this number in its sequence.
    fn numbered(self, sequence: u32) -> io::Result<Vec<u8>> {
        let mut bytes = self.bytes;
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        Ok(bytes)
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A connection to the kernel. It belongs to the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// A new connection.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let family = AddressFamily::NETLINK;
        // Of the protocols that netlink carries, routes are number 0, which is the default.
        let socket = socket_with(family, SocketType::RAW, flags, None)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// A new connection to the firewall.
    pub(crate) fn to_firewall() -> io::Result<Self> {
        let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
        let socket = socket_with(family, SocketType::RAW, flags, Some(netlink::NETFILTER))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// What the kernel says, unasked, of every change of the firewall. Only who may change it hears of it.
    pub(crate) fn notices_of_firewall() -> io::Result<OwnedFd> {
        /// nfnetlink's group for nftables, number 7, as a bit.
        const NFNLGRP_NFTABLES: u32 = 1 << 6;
        /// A change of 1,000 NICs comes in some thousand messages, of which each takes about half a kilobyte.
        const ROOM: usize = 4 << 20;
        let Self { socket, .. } = Self::to_firewall()?;
        bind(&socket, &netlink::SocketAddrNetlink::new(0, NFNLGRP_NFTABLES))?;
        // With less room more is lost, which is told then.
        let _ = set_socket_recv_buffer_size_force(&socket, ROOM);
        Ok(socket)
    }

    /// Sends requests as one, of which the first and the last are only its marks; the kernel carries out all
    /// of them or none.
    ///
    /// # Errors
    /// The kernel's, of the first that it refused.
    pub(crate) fn carry_out(&mut self, requests: Vec<Request>) -> io::Result<()> {
        let mut left = requests.len().saturating_sub(2);
        let mut bytes = Vec::new();
        for request in requests {
            self.sequence += 1;
            bytes.extend(request.numbered(self.sequence)?);
        }
        send(&self.socket, &bytes, SendFlags::empty())?;
        // All answers are there when it was sent.
        let mut buffer = vec![0; RECEIVE_BUFFER];
        while left > 0 {
            let received = recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT)?.0;
            for message in messages(buffer.get(..received).unwrap_or_default()) {
                match u32_at(message?.body, 0).cast_signed() {
                    0 => left = left.saturating_sub(1),
                    code => return Err(io::Error::from_raw_os_error(-code)),
                }
            }
        }
        Ok(())
    }

    /// Sends a request and collects the answers' bodies, which begin with their fixed part. A change has
    /// none.
    ///
    /// # Errors
    /// The kernel's, as the system's error of that number.
    pub(crate) fn ask(&mut self, request: Request) -> io::Result<Vec<Vec<u8>>> {
        self.sequence += 1;
        let bytes = request.numbered(self.sequence)?;
        send(&self.socket, &bytes, SendFlags::empty())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; RECEIVE_BUFFER];
        loop {
            let received = match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                received => received?.0,
            };
            if self.read(&buffer[..received], &mut answers)? {
                return Ok(answers);
            }
        }
    }

    /// Reads one datagram; whether it was the last.
    fn read(&self, bytes: &[u8], answers: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        const ERROR: u16 = 2;
        const DONE: u16 = 3;
        for message in messages(bytes) {
            let message = message?;
            // What is left of an earlier dump that was given up is not an answer to this.
            if message.sequence == self.sequence {
                match message.kind {
                    ERROR | DONE => {
                        let code = u32_at(message.body, 0).cast_signed();
                        return if code == 0 {
                            Ok(true)
                        } else {
                            Err(io::Error::from_raw_os_error(-code))
                        };
                    }
                    _ => answers.push(message.body.to_vec()),
                }
            }
        }
        Ok(false)
    }
}

/// A message of the kernel's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    sequence: u32,
    /// Begins with the fixed part of its family of messages.
    pub(crate) body: &'a [u8],
}

/// The messages of a datagram. One that is cut short is an error, and the last.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = io::Result<Message<'_>>> {
    std::iter::from_fn(move || {
        let header = bytes.get(..HEADER)?;
        let length = usize::try_from(u32_at(header, 0)).unwrap_or(0);
        let body = bytes.get(HEADER..length);
        bytes = bytes.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
        let Some(body) = body else {
            bytes = &[];
            return Some(Err(io::ErrorKind::InvalidData.into()));
        };
        Some(Ok(Message { kind: u16_at(header, 4), sequence: u32_at(header, 8), body }))
    })
}

/// The attributes in some bytes, in their order; what is cut short is left out.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes.get(..ATTRIBUTE_HEADER)?, 0));
        let attribute = u16_at(bytes, 2) & !TYPE_FLAGS;
        let value = bytes.get(ATTRIBUTE_HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((attribute, value))
    })
}

/// The value of an attribute, if it is there.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(attribute, _)| *attribute == wanted).map(|(_, value)| value)
}

/// A text, without the NUL at its end.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The number at this place; 0 where the bytes end before.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let number = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    number.map_or(0, u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let number = bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    number.map_or(0, u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let request = Request::new(16, Ask::Plain, &[0; 16])
            .with_text(3, "lo")
            .with_nested(18, |within| within.with_text(1, "bridge").with_u32(2, 7));
        let body = &request.bytes[HEADER + 16..];
        assert_eq!(attribute(body, 3).map(text).as_deref(), Some("lo"));
        let nested = attribute(body, 18).unwrap();
        assert_eq!(attribute(nested, 1).map(text).as_deref(), Some("bridge"));
        assert_eq!(attribute(nested, 2).map(|value| u32_at(value, 0)), Some(7));
        assert_eq!(attribute(body, 4), None);
    }

    #[test]
    fn bytes_that_end_early_end_the_attributes() {
        assert_eq!(attributes(&[12, 0, 3, 0, 1]).count(), 0);
        assert_eq!(attributes(&[0, 0, 3, 0, 1, 2, 3, 4]).count(), 0);
    }
}
