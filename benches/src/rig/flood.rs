//! A caller who asks at a fixed rate, whatever is answered: a flood that a limit refuses.
//!
//! Some requests are sent at a time on each of its connections, so that the flood costs its sender little of the
//! processors that it shares with the daemon.

use anyhow::{anyhow, ensure};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How many connections take turns.
const CONNECTIONS: u32 = 16;
/// How many requests are sent on one at a time.
const TOGETHER: u32 = 5;
/// How long an answer may fail to come.
const SILENCE: Duration = Duration::from_secs(30);
/// How much is read at once, in bytes.
const CHUNK: usize = 16 << 10;

/// A flood that goes on until it is ended or dropped.
#[derive(Debug)]
pub(crate) struct Flood {
    over: Arc<AtomicBool>,
    begun: Instant,
    senders: Vec<JoinHandle<anyhow::Result<Answers>>>,
}

/// What came of a flood.
#[derive(Debug)]
pub(crate) struct Flooded {
    answered: usize,
    refused: usize,
    /// Until the last answer.
    pub(crate) took: Duration,
}

impl Flood {
    /// Begins to ask for this so many times a second, showing this token.
    pub(crate) fn start(
        address: SocketAddr,
        token: &str,
        path: &str,
        rate: u32,
    ) -> anyhow::Result<Self> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let requests = request.repeat(TOGETHER as usize);
        let between = Duration::from_secs(1) * TOGETHER / rate;
        let mut flood = Self { over: Arc::default(), begun: Instant::now(), senders: Vec::new() };
        for client in 0..CONNECTIONS {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(SILENCE))?;
            let (over, requests) = (flood.over.clone(), requests.clone().into_bytes());
            let first = flood.begun + between * client;
            let each = between * CONNECTIONS;
            flood.senders.push(thread::spawn(move || send(stream, &requests, first, each, &over)));
        }
        Ok(flood)
    }

    /// Ends it, and says what came of it.
    pub(crate) fn end(mut self) -> anyhow::Result<Flooded> {
        self.over.store(true, Ordering::Relaxed);
        let mut flooded = Flooded { answered: 0, refused: 0, took: Duration::ZERO };
        for sender in std::mem::take(&mut self.senders) {
            let answers = sender.join().map_err(|_| anyhow!("a sender panicked"))??;
            flooded.answered += answers.all;
            flooded.refused += answers.refused;
        }
        flooded.took = self.begun.elapsed();
        Ok(flooded)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Flooded {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }

    /// How many were answered otherwise than by 429.
    pub(crate) const fn passed(&self) -> usize {
        self.answered - self.refused
    }
}

/// Sends these requests again and again, when they are due or, where the server is behind, as soon as those
/// before are answered.
fn send(
    mut stream: TcpStream,
    requests: &[u8],
    first: Instant,
    each: Duration,
    over: &AtomicBool,
) -> anyhow::Result<Answers> {
    let (mut answers, mut asked, mut due) = (Answers::default(), 0, first);
    let mut buffer = vec![0; CHUNK];
    while !over.load(Ordering::Relaxed) {
        // This is the rate of the flood.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(requests)?;
        asked += TOGETHER as usize;
        while answers.all < asked {
            let count = stream.read(&mut buffer)?;
            ensure!(count > 0, "the server hung up");
            answers.feed(&buffer[..count]);
        }
        due += each;
    }
    Ok(answers)
}

/// Answers, counted by their first lines: what is in the others nobody reads.
#[derive(Debug, Default)]
struct Answers {
    all: usize,
    refused: usize,
    /// What may be the begin of a status line.
    tail: Vec<u8>,
}

impl Answers {
    fn feed(&mut self, bytes: &[u8]) {
        const BEGIN: &[u8] = b"HTTP/1.1 ";
        const REFUSED: &[u8] = b"429";
        const LENGTH: usize = BEGIN.len() + REFUSED.len();
        self.tail.extend_from_slice(bytes);
        for line in self.tail.windows(LENGTH).filter(|line| line.starts_with(BEGIN)) {
            self.all += 1;
            self.refused += usize::from(line.ends_with(REFUSED));
        }
        self.tail.drain(..self.tail.len().saturating_sub(LENGTH - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_wherever_they_are_cut() {
        let answers = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}\
                       HTTP/1.1 429 Too Many Requests\r\ncontent-length: 3\r\n\r\n429";
        for cut in 0..=answers.len() {
            let (begin, end) = answers.as_bytes().split_at(cut);
            let mut counted = Answers::default();
            counted.feed(begin);
            counted.feed(end);
            assert_eq!((counted.all, counted.refused), (2, 1), "cut at {cut}");
        }
    }
}
