//! Many readers of the feed in one thread, as cheap as may be: what they cost is not to be taken for
//! the server's.

use crate::rig::http::{Address, Body, Connection, Stream};
use anyhow::{Context, ensure};
use rustix::event::epoll;
use std::{
    io::Read,
    time::{Duration, Instant, SystemTime},
};

/// How much is read at once, in bytes: several rounds of the feed under load.
const CHUNK: usize = 128 << 10;
/// The steps in which delays are counted, and how many there are.
const STEP: Duration = Duration::from_micros(100);
const STEPS: usize = 20_000;

/// Readers that follow the feed from now on.
#[derive(Debug)]
pub(crate) struct Readers {
    epoll: std::os::fd::OwnedFd,
    readers: Vec<Reader>,
    buffer: Vec<u8>,
    /// From which moment on changes tell when they were posted.
    since: SystemTime,
}

/// What the readers saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// How many changes came in total.
    pub(crate) changes: u64,
    /// How many gaps were told.
    pub(crate) gaps: u64,
    /// How long each change took to each reader, counted in steps.
    delays: Vec<u64>,
}

#[derive(Debug)]
struct Reader {
    stream: Stream,
    body: Body,
    /// The begin of a line whose end has not come.
    partial: Vec<u8>,
    changes: u64,
}

impl Readers {
    /// Connects so many. Their changes are those that [`posted_at`] can read.
    pub(crate) fn connect(
        address: &Address,
        path: &str,
        count: usize,
        since: SystemTime,
    ) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut readers = Vec::new();
        for index in 0..count {
            let mut connection = Connection::open(address)?;
            let request = connection.compose("GET", path, "Accept: application/x-ndjson\r\n", "");
            let mut partial = Vec::new();
            let head = connection.send(&request, |bytes| partial.extend_from_slice(bytes))?;
            ensure!(head.status == 200, "the feed answered {}", head.status);
            // The first line says from where on, and is no change.
            let whole = partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            partial.drain(..whole);
            let (stream, body) = connection.into_parts(head);
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            readers.push(Reader { stream, body, partial, changes: 0 });
        }
        Ok(Self { epoll, readers, buffer: vec![0; CHUNK], since })
    }

    /// Reads until each reader has seen so many changes more, or for so long.
    pub(crate) fn read(&mut self, changes: u64, at_most: Duration) -> anyhow::Result<Seen> {
        let end = Instant::now() + at_most;
        let mut seen = Seen { changes: 0, gaps: 0, delays: vec![0; STEPS] };
        let mut behind = self.readers.len();
        self.readers.iter_mut().for_each(|reader| reader.changes = 0);
        let mut events = Vec::with_capacity(self.readers.len());
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while behind > 0 && Instant::now() < end {
            events.clear();
            let found = rustix::buffer::spare_capacity(&mut events);
            epoll::wait(&self.epoll, found, Some(&timeout))?;
            for event in &events {
                let index = usize::try_from(event.data.u64())?;
                let reader = self.readers.get_mut(index).context("an index of ours")?;
                let before = reader.changes;
                let count = reader.stream.read(&mut self.buffer)?;
                ensure!(count > 0, "the server hung up on a reader");
                let now = self.since.elapsed()?;
                reader.take(&self.buffer[..count], now, &mut seen)?;
                if before < changes && reader.changes >= changes {
                    behind -= 1;
                }
            }
        }
        Ok(seen)
    }
}

impl Reader {
    fn take(&mut self, wire: &[u8], now: Duration, seen: &mut Seen) -> anyhow::Result<()> {
        let Self { body, partial, changes, .. } = self;
        let mut damaged = None;
        let mut sink = |mut bytes: &[u8]| {
            while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                let (line, rest) = bytes.split_at(end + 1);
                let counted = if partial.is_empty() {
                    seen.count(line, now)
                } else {
                    partial.extend_from_slice(line);
                    let counted = seen.count(partial, now);
                    partial.clear();
                    counted
                };
                match counted {
                    Ok(count) => *changes += count,
                    Err(error) => damaged = Some(error),
                }
                bytes = rest;
            }
            partial.extend_from_slice(bytes);
        };
        body.feed(wire, &mut sink)?;
        damaged.map_or(Ok(()), Err)
    }
}

impl Seen {
    /// Counts a line; gives how many changes it is.
    fn count(&mut self, line: &[u8], now: Duration) -> anyhow::Result<u64> {
        if line.starts_with(b"{\"type\":\"change\"") {
            let posted = posted_at(line).with_context(|| {
                format!("no time in the line {:?}", String::from_utf8_lossy(line))
            })?;
            let step = now.saturating_sub(posted).as_micros() / STEP.as_micros();
            self.delays[usize::try_from(step)?.min(STEPS - 1)] += 1;
            self.changes += 1;
            return Ok(1);
        }
        self.gaps += u64::from(line.starts_with(b"{\"type\":\"gap\""));
        Ok(0)
    }

    /// The delay below which this share of the deliveries was.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = (self.changes as f64 * share).ceil() as u64;
        let mut sum = 0;
        let reached = |count: &u64| {
            sum += count;
            sum >= rank
        };
        let step = self.delays.iter().position(reached).unwrap_or(STEPS) + 1;
        STEP * u32::try_from(step).unwrap_or(u32::MAX)
    }
}

/// When a change was posted, after the agreed moment: in microseconds, in the last number of its line.
fn posted_at(line: &[u8]) -> Option<Duration> {
    let end = line.iter().rposition(u8::is_ascii_digit)?;
    let begin = line[..end].iter().rposition(|byte| !byte.is_ascii_digit())?;
    let digits = std::str::from_utf8(&line[begin + 1..=end]).ok()?;
    digits.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_when_it_was_posted() {
        let line = br#"{"type":"change","revision":7,"changes":[{"old":1,"new":2500}]}"#;
        assert_eq!(posted_at(line), Some(Duration::from_micros(2500)));
        assert_eq!(posted_at(b"{}\n"), None);
    }

    #[test]
    fn lines_are_counted_by_kind_and_delay() {
        let mut seen = Seen { changes: 0, gaps: 0, delays: vec![0; STEPS] };
        for posted in [1_000, 2_000, 9_000] {
            let line = format!("{{\"type\":\"change\",\"new\":{posted}}}\n");
            assert_eq!(seen.count(line.as_bytes(), Duration::from_millis(10)).unwrap(), 1);
        }
        assert_eq!(seen.count(b"{\"type\":\"gap\"}\n", Duration::ZERO).unwrap(), 0);
        assert_eq!((seen.changes, seen.gaps), (3, 1));
        assert_eq!(seen.quantile(0.3), Duration::from_micros(1_100));
        assert_eq!(seen.quantile(1.0), Duration::from_micros(9_100));
    }
}
