//! Many clients in one thread, as cheap as may be: what they cost is not to be taken for the server's,
//! with which they share the processors.
//!
//! Each has a connection of its own that it keeps, and one request on it at a time.

use anyhow::{Context, bail, ensure};
use rustix::event::epoll;
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

/// How long all answers together may fail to come.
const SILENCE: Duration = Duration::from_secs(120);
/// How much is read at once, in bytes: more than an answer to one request about one VM.
const CHUNK: usize = 64 << 10;

/// Clients of a daemon.
#[derive(Debug)]
pub(crate) struct Crowd {
    epoll: std::os::fd::OwnedFd,
    clients: Vec<Client>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    /// What has come of an answer that is not whole.
    partial: Vec<u8>,
    /// When what it waits for was sent; nothing where it waits for nothing.
    asked: Option<Instant>,
}

impl Crowd {
    /// Connects so many to a unix socket.
    pub(crate) fn connect(socket: &Path, count: usize) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Vec::new();
        for index in 0..count {
            let stream = UnixStream::connect(socket)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            clients.push(Client { stream, partial: Vec::new(), asked: None });
        }
        Ok(Self { epoll, clients, buffer: vec![0; CHUNK] })
    }

    /// Has all of these requests answered, each by the next client that is free, and says how long each
    /// took.
    ///
    /// # Errors
    /// An answer's status is another than this.
    pub(crate) fn ask(
        &mut self,
        requests: impl IntoIterator<Item = Vec<u8>>,
        status: u16,
    ) -> anyhow::Result<Vec<Duration>> {
        let (mut requests, mut took, mut waiting) = (requests.into_iter(), Vec::new(), 0);
        for client in &mut self.clients {
            waiting += usize::from(client.send(requests.next())?);
        }
        let mut events = Vec::with_capacity(self.clients.len());
        let timeout = rustix::event::Timespec { tv_sec: SILENCE.as_secs().try_into()?, tv_nsec: 0 };
        while waiting > 0 {
            events.clear();
            let found = rustix::buffer::spare_capacity(&mut events);
            epoll::wait(&self.epoll, found, Some(&timeout))?;
            ensure!(!events.is_empty(), "no answer came within {SILENCE:?}");
            for event in &events {
                let index = usize::try_from(event.data.u64())?;
                let client = self.clients.get_mut(index).context("an index of ours")?;
                let Some(took_it) = client.read(&mut self.buffer, status)? else { continue };
                took.push(took_it);
                if !client.send(requests.next())? {
                    waiting -= 1;
                }
            }
        }
        Ok(took)
    }
}

impl Client {
    /// Sends a request, if there is one.
    fn send(&mut self, request: Option<Vec<u8>>) -> anyhow::Result<bool> {
        let Some(request) = request else { return Ok(false) };
        self.asked = Some(Instant::now());
        // Far smaller than a socket's buffer, so this does not wait.
        self.stream.write_all(&request)?;
        Ok(true)
    }

    /// Reads what has come; how long the answer took, if it is whole now.
    fn read(&mut self, buffer: &mut [u8], status: u16) -> anyhow::Result<Option<Duration>> {
        let count = self.stream.read(buffer)?;
        ensure!(count > 0, "the server hung up");
        let read = &buffer[..count];
        let answer = if self.partial.is_empty() {
            read
        } else {
            self.partial.extend_from_slice(read);
            &self.partial
        };
        let Some(length) = whole_length(answer)? else {
            if self.partial.is_empty() {
                self.partial.extend_from_slice(read);
            }
            return Ok(None);
        };
        ensure!(answer.len() == length, "more came than was asked for");
        if answer.get(9..12) != Some(status.to_string().as_bytes()) {
            bail!("instead of {status}: {}", String::from_utf8_lossy(answer));
        }
        self.partial.clear();
        let asked = self.asked.take().context("an answer to a question")?;
        Ok(Some(asked.elapsed()))
    }
}

/// How long a whole answer is that begins like this, once that much of it is there.
fn whole_length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    const LENGTH: &[u8] = b"content-length:";
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let lines = answer[..end].split(|byte| *byte == b'\n');
    let mut lengths = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(LENGTH.len())?;
        name.eq_ignore_ascii_case(LENGTH).then_some(value)
    });
    let length = lengths.next().context("the answer does not say how long it is")?;
    let length: usize = std::str::from_utf8(length)?.trim().parse()?;
    let whole = end + 4 + length;
    Ok((answer.len() >= whole).then_some(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx: y\r\n\r\nabc";
        for cut in 0..answer.len() {
            assert_eq!(whole_length(&answer[..cut]).unwrap(), None, "cut at {cut}");
        }
        assert_eq!(whole_length(answer).unwrap(), Some(answer.len()));
        assert!(whole_length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn every_request_is_answered_and_a_wrong_status_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let serve = |mut stream: UnixStream| {
                let mut request = [0; 16];
                // Who is refused hangs up, answered or not.
                while stream.read(&mut request).unwrap_or(0) > 0
                    && stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n").is_ok()
                    && stream.write_all(b"\r\n{}").is_ok()
                {}
            };
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    let stream = listener.accept().unwrap().0;
                    scope.spawn(|| serve(stream));
                }
            });
        });
        let mut crowd = Crowd::connect(&socket, 2).unwrap();
        let requests = || (0..5).map(|_| b"?".to_vec());
        assert_eq!(crowd.ask(requests(), 202).unwrap().len(), 5);
        let refused = crowd.ask(requests(), 200).unwrap_err();
        assert!(refused.to_string().contains("202 Accepted"), "{refused}");
        drop(crowd);
        server.join().unwrap();
    }
}
