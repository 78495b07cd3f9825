//! HTTP/1.1 as a measuring instrument: one request at a time over a blocking socket, with nothing
//! between the reading and the clock.

use anyhow::{Context, bail, ensure};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long an answer may keep its reader waiting.
const SILENCE: Duration = Duration::from_secs(120);
/// How much is read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// Where a server is.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// With the token that opens it, if any.
    Tcp(SocketAddr, Option<String>),
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    authorization: String,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// The head of an answer, and what came with it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    body: Body,
    /// When its first byte was there.
    pub(crate) first_byte: Instant,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// How long an answer took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Until its first byte was there.
    pub(crate) first_byte: Duration,
    /// Until its last was.
    pub(crate) whole: Duration,
    /// The bytes of its body.
    pub(crate) bytes: usize,
}

impl Connection {
    pub(crate) fn open(address: &Address) -> anyhow::Result<Self> {
        let stream = match address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(SILENCE))?;
                Stream::Unix(stream)
            }
            Address::Tcp(address, _) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(SILENCE))?;
                Stream::Tcp(stream)
            }
        };
        let authorization = match address {
            Address::Tcp(_, Some(token)) => format!("Authorization: Bearer {token}\r\n"),
            _ => String::new(),
        };
        Ok(Self { stream, authorization, buffer: vec![0; CHUNK] })
    }

    /// The bytes of a request with these further headers, each with its end of line.
    pub(crate) fn compose(&self, method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
        let authorization = &self.authorization;
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let request = self.compose(method, path, headers, body);
        let mut body = Vec::new();
        let head = self.exchange(&request, |bytes| body.extend_from_slice(bytes))?;
        Ok(Answer { status: head.status, body })
    }

    /// Sends a request, and takes the time while reading an answer that nobody looks at.
    pub(crate) fn time(&mut self, request: &[u8]) -> anyhow::Result<Timing> {
        self.time_of(200, request)
    }

    /// The same, of an answer with this status.
    pub(crate) fn time_of(&mut self, status: u16, request: &[u8]) -> anyhow::Result<Timing> {
        let mut bytes = 0;
        let started = Instant::now();
        let head = self.exchange(request, |body| bytes += body.len())?;
        let whole = started.elapsed();
        ensure!(head.status == status, "the answer was {}", head.status);
        Ok(Timing { first_byte: head.first_byte - started, whole, bytes })
    }

    fn exchange(&mut self, request: &[u8], mut sink: impl FnMut(&[u8])) -> anyhow::Result<Head> {
        let mut head = self.send(request, &mut sink)?;
        while !head.body.is_complete() {
            self.read_on(&mut head, &mut sink)?;
        }
        Ok(head)
    }

    /// Sends a request and reads as far as the head of its answer; what came with it of the body
    /// goes to `sink`.
    pub(crate) fn send(
        &mut self,
        request: &[u8],
        mut sink: impl FnMut(&[u8]),
    ) -> anyhow::Result<Head> {
        self.stream.write_all(request)?;
        let (mut text, mut first_byte) = (Vec::new(), None);
        let end = loop {
            let count = self.read()?;
            first_byte.get_or_insert_with(Instant::now);
            text.extend_from_slice(&self.buffer[..count]);
            if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(text.len() < CHUNK, "the answer's head has no end");
        };
        let (status, mut body) = parse_head(&text[..end])?;
        body.feed(&text[end..], &mut sink)?;
        Ok(Head { status, body, first_byte: first_byte.context("something was read")? })
    }

    /// Reads what there is of an answer's body, waiting for something. An answer without end is read
    /// so, again and again.
    pub(crate) fn read_on(
        &mut self,
        head: &mut Head,
        mut sink: impl FnMut(&[u8]),
    ) -> anyhow::Result<()> {
        let count = self.read()?;
        head.body.feed(&self.buffer[..count], &mut sink)
    }

    fn read(&mut self) -> anyhow::Result<usize> {
        let count = self.stream.read(&mut self.buffer)?;
        ensure!(count > 0, "the server hung up");
        Ok(count)
    }

    /// The socket and how the body of an answer goes on, for whoever reads many at once.
    pub(crate) fn into_parts(self, head: Head) -> (Stream, Body) {
        (self.stream, head.body)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl std::os::fd::AsFd for Stream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

fn parse_head(head: &[u8]) -> anyhow::Result<(u16, Body)> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("a status line")?;
    let mut body = Body::Length(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Length(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked(Chunk::Size(0));
        }
    }
    Ok((status.parse()?, body))
}

/// How a body ends, and what is still to come of it.
#[derive(Debug)]
pub(crate) enum Body {
    /// So many bytes are to come.
    Length(usize),
    Chunked(Chunk),
}

/// Where in a chunked body the next byte is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chunk {
    /// In a chunk's size, of which this much is known.
    Size(usize),
    /// In a chunk, of which so much is to come.
    Data(usize),
    /// In the line's end after a chunk of data, of which so much is to come.
    DataEnd(usize),
    /// In the line's end after the last chunk, of which so much is to come.
    LastEnd(usize),
    /// Behind everything.
    Complete,
}

impl Body {
    fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Complete))
    }

    /// Takes bytes from the wire and gives those of the body to `sink`.
    pub(crate) fn feed(
        &mut self,
        mut wire: &[u8],
        sink: &mut impl FnMut(&[u8]),
    ) -> anyhow::Result<()> {
        while !wire.is_empty() {
            let taken = match self {
                Self::Length(left) => {
                    ensure!(wire.len() <= *left, "more came than was announced");
                    *left -= wire.len();
                    sink(wire);
                    wire.len()
                }
                Self::Chunked(chunk) => chunk.feed(wire, sink)?,
            };
            wire = &wire[taken..];
        }
        Ok(())
    }
}

impl Chunk {
    fn feed(&mut self, wire: &[u8], sink: &mut impl FnMut(&[u8])) -> anyhow::Result<usize> {
        let (next, taken) = match *self {
            Self::Size(size) => match wire[0] {
                b'\n' if size == 0 => (Self::LastEnd(2), 1),
                b'\n' => (Self::Data(size), 1),
                b'\r' => (Self::Size(size), 1),
                digit => {
                    let digit = char::from(digit).to_digit(16).context("a chunk's size")?;
                    (Self::Size(size * 16 + digit as usize), 1)
                }
            },
            Self::Data(left) => {
                let taken = left.min(wire.len());
                sink(&wire[..taken]);
                let left = left - taken;
                (if left == 0 { Self::DataEnd(2) } else { Self::Data(left) }, taken)
            }
            Self::DataEnd(1) => (Self::Size(0), 1),
            Self::DataEnd(left) => (Self::DataEnd(left - 1), 1),
            Self::LastEnd(1) => (Self::Complete, 1),
            Self::LastEnd(left) => (Self::LastEnd(left - 1), 1),
            Self::Complete => bail!("more came after the last chunk"),
        };
        *self = next;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(mut body: Body, pieces: &[&str]) -> (String, bool) {
        let mut text = String::new();
        for piece in pieces {
            let mut sink = |bytes: &[u8]| text.push_str(std::str::from_utf8(bytes).unwrap());
            body.feed(piece.as_bytes(), &mut sink).unwrap();
        }
        (text, body.is_complete())
    }

    #[test]
    fn chunks_are_put_together_wherever_they_are_cut() {
        let wire = "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
        for cut in 0..wire.len() {
            let (begin, end) = wire.split_at(cut);
            let whole = decode(Body::Chunked(Chunk::Size(0)), &[begin, end]);
            assert_eq!(whole, ("abc0123456789abcdef".into(), true), "cut at {cut}");
        }
        let part = decode(Body::Chunked(Chunk::Size(0)), &["3\r\nabc\r\n"]);
        assert_eq!(part, ("abc".into(), false));
    }

    #[test]
    fn a_length_is_counted_down() {
        assert_eq!(decode(Body::Length(4), &["ab"]), ("ab".into(), false));
        assert_eq!(decode(Body::Length(4), &["ab", "cd"]), ("abcd".into(), true));
        assert!(Body::Length(1).feed(b"ab", &mut |_| ()).is_err());
    }

    #[test]
    fn a_head_says_how_the_body_ends() {
        let (status, body) = parse_head(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n").unwrap();
        assert_eq!(status, 200);
        assert!(matches!(body, Body::Length(7)));
        let head = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(matches!(parse_head(head).unwrap(), (404, Body::Chunked(_))));
    }
}
