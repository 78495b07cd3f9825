//! A stand-in before a server, for programs that read answers whole: of an answer that may never end it passes on
//! the first line, and ends it there.

use super::{http::read_chunk, wait::SHORT};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// How long an answer that goes on may say nothing before it is ended.
const SAYS_NOTHING: Duration = Duration::from_secs(2);

/// Stands before a server until the process ends, and gives its own address.
pub(crate) fn first_lines_of(server: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = server.to_owned();
    thread::spawn(move || {
        for caller in listener.incoming() {
            let server = server.clone();
            // Who hangs up in the middle, on either side, has nothing more to be told.
            thread::spawn(move || pass_on(&caller?, &server));
        }
    });
    address
}

/// Passes one request on, and its answer back.
fn pass_on(mut caller: &TcpStream, server: &str) -> io::Result<()> {
    let mut asks = BufReader::new(caller);
    let head = Head::read(&mut asks)?;
    let mut body = vec![0; head.length().unwrap_or(0)];
    asks.read_exact(&mut body)?;
    let mut to = TcpStream::connect(server)?;
    to.set_read_timeout(Some(SHORT))?;
    to.write_all(&head.with("Connection: close", &["connection"]))?;
    to.write_all(&body)?;

    let socket = to.try_clone()?;
    let mut answers = BufReader::new(to);
    let head = Head::read(&mut answers)?;
    if head.value("transfer-encoding").is_none() {
        caller.write_all(&head.with("", &[]))?;
        return io::copy(&mut answers, &mut caller).map(drop);
    }
    socket.set_read_timeout(Some(SAYS_NOTHING))?;
    let line = first_line(&mut answers, head.value("content-type").unwrap_or_default());
    let length = format!("Content-Length: {}", line.len());
    caller.write_all(&head.with(&length, &["transfer-encoding"]))?;
    caller.write_all(&line)
}

/// The first line of an answer in chunks; of server-sent events the first event.
fn first_line(from: &mut impl BufRead, content_type: &str) -> Vec<u8> {
    let end: &[u8] = if content_type.starts_with("text/event-stream") { b"\n\n" } else { b"\n" };
    let mut text = Vec::new();
    while let Some(chunk) = read_chunk(from) {
        text.extend(chunk);
        if let Some(at) = text.windows(end.len()).position(|window| window == end) {
            text.truncate(at + end.len());
            break;
        }
    }
    text
}

/// The lines of a head, as they came, the empty one at its end left out.
struct Head(Vec<Vec<u8>>);

impl Head {
    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            from.read_until(b'\n', &mut line)?;
            if line.trim_ascii().is_empty() {
                return Ok(Self(lines));
            }
            lines.push(line);
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|line| {
            let (said, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            said.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn length(&self) -> Option<usize> {
        self.value("content-length")?.parse().ok()
    }

    /// The head, whole, with one more line and without some.
    fn with(&self, more: &str, without: &[&str]) -> Vec<u8> {
        let is_left_out = |line: &&Vec<u8>| {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            without.iter().any(|out| name.eq_ignore_ascii_case(out.as_bytes()))
        };
        let mut head: Vec<u8> =
            self.0.iter().filter(|line| !is_left_out(line)).flatten().copied().collect();
        if !more.is_empty() {
            head.extend_from_slice(format!("{more}\r\n").as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}
