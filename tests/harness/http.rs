//! HTTP/1.1, as little as the tests need: one request a connection, and bodies in chunks.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
};

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.into(), path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// With this header, in place of one of the same name.
    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With these bytes, of no type.
    #[must_use]
    pub(crate) fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    #[must_use]
    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").bytes(body.to_string())
    }

    /// Sends it. A peer that answers before it has read everything may have hung up on the rest.
    pub(crate) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let Self { method, path, headers, body } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        for (name, value) in [("Host", "localhost"), ("Connection", "close")] {
            if headers.iter().all(|(said, _)| said != name) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        let sent = to.write_all(head.as_bytes()).and_then(|()| to.write_all(body));
        match sent {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent,
        }
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// By their names, in small letters.
    pub(crate) fn headers(&self) -> &BTreeMap<String, String> {
        &self.headers
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The same answer, if it says that it was done.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self
    }
}

/// Reads the status line and the headers.
pub(crate) fn read_head(from: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = || {
        let mut line = String::new();
        from.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    let status = line()?;
    let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = code.ok_or_else(|| io::Error::other(format!("not an answer: {status:?}")))?;
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Reply { status, headers, body: Vec::new() })
}

/// Sends a request and reads the whole answer.
#[track_caller]
pub(crate) fn exchange(stream: impl Read + Write, request: &Request) -> Reply {
    try_exchange(stream, request).unwrap_or_else(|error| panic!("{error}: {request:?}"))
}

/// The same, of a server that may not be there.
pub(crate) fn try_exchange(mut stream: impl Read + Write, request: &Request) -> io::Result<Reply> {
    request.send(&mut stream)?;
    let mut from = BufReader::new(stream);
    let mut reply = read_head(&mut from)?;
    match reply.header("content-length").map(|length| length.parse::<u64>().unwrap()) {
        Some(length) => {
            from.take(length).read_to_end(&mut reply.body)?;
        }
        None if reply.header("transfer-encoding").is_some() => {
            while let Some(chunk) = read_chunk(&mut from) {
                reply.body.extend(chunk);
            }
        }
        None => {}
    }
    Ok(reply)
}

/// The next chunk of a body; `None` at its end, or where the connection ends.
pub(crate) fn read_chunk(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut size = String::new();
    from.read_line(&mut size).ok()?;
    let size = usize::from_str_radix(size.trim(), 16).ok()?;
    let mut chunk = vec![0; size + 2];
    from.read_exact(&mut chunk).ok()?;
    chunk.truncate(size);
    (size > 0).then_some(chunk)
}
