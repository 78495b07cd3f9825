//! The audit as those see it who read: a page at a time, in the order in which it was written.
//!
//! Nothing is held but the page, whatever the files are like: a line without an end is passed over, and one
//! call looks at so many bytes at the most.

use super::place::{Place, numbers, path};
use innkeeper_model::{Timestamp, VmId};
use serde::Deserialize;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

/// The longest line that is read, in bytes. (What is written is shorter by far.)
const MAX_LINE: usize = 16 << 10;
/// The most bytes that one call looks at.
const MAX_LOOKED_AT: u64 = 32 << 20;
/// How much is looked at at once from a file's end, in bytes.
const BLOCK: usize = 64 << 10;
/// How far a file's time may be behind that of a line in it: the kernel's clock for files ticks some times a
/// second.
const SLACK: Duration = Duration::from_secs(1);
/// The most bytes of lines on a page.
const MAX_PAGE: usize = 2 << 20;

/// Which lines are wanted; all of these have to hold.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Not after this.
    pub until: Option<Timestamp>,
    /// Of this caller.
    pub caller: Option<String>,
    /// About this action.
    pub action: Option<String>,
    /// About this VM: its id, or the name that it had.
    pub vm: Option<String>,
}

/// Some lines, in the order in which they were written.
#[derive(Debug, Default)]
pub struct AuditPage {
    /// The lines, as they were written: a JSON object each.
    pub lines: Vec<String>,
    /// The place after the last line that was looked at.
    pub place: Place,
    /// Whether there was nothing after it.
    pub at_end: bool,
    /// Lines that nobody can read, cut short by a kill or damaged since; they were passed over.
    pub unreadable: u64,
}

/// What of a line decides whether it is wanted.
#[derive(Deserialize)]
struct Looked {
    at: Timestamp,
    #[serde(default)]
    caller: Option<String>,
    action: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    vm: Option<VmId>,
}

impl AuditQuery {
    fn wants(&self, line: &Looked) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let is_about = |vm: &str| {
            line.subject.as_deref() == Some(vm)
                || line.vm.is_some_and(|id| vm.parse().is_ok_and(|wanted: VmId| wanted == id))
        };
        self.since.is_none_or(|since| line.at >= since)
            && self.until.is_none_or(|until| line.at <= until)
            && is(&self.caller, line.caller.as_deref())
            && is(&self.action, Some(&line.action))
            && self.vm.as_deref().is_none_or(is_about)
    }
}

/// What comes next in a file.
enum Next {
    /// A line, without its line feed.
    Line,
    /// A line that is too long; so many bytes were passed over.
    TooLong(u64),
    /// The file ends within a line.
    Unended,
    End,
}

/// Reads some lines: those after this place, or from the oldest on, and at most so many. It reads files: call
/// it from a thread that may block.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn read(
    folder: &Path,
    query: &AuditQuery,
    after: Option<Place>,
    at_most: usize,
) -> io::Result<AuditPage> {
    let numbers = numbers(folder)?;
    let place = match after {
        Some(place) => place,
        None => Place { file: first_since(folder, &numbers, query.since), offset: 0 },
    };
    let mut reading = Reading {
        query,
        at_most,
        looked_at: 0,
        bytes: 0,
        page: AuditPage { place, ..AuditPage::default() },
    };
    for number in numbers.iter().filter(|number| **number >= place.file) {
        if *number != reading.page.place.file {
            reading.page.place = Place { file: *number, offset: 0 };
        }
        let file = match File::open(path(folder, *number)) {
            // It was the oldest, and had to go just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        reading.file(file, numbers.last() == Some(number))?;
        if reading.is_full() {
            return Ok(reading.page);
        }
    }
    reading.page.at_end = true;
    Ok(reading.page)
}

/// The file to begin with: the oldest that was written to since this time. What a line says of its time is no
/// guide: a task's end, and a count of repeats, have lines that are older than those before them.
fn first_since(folder: &Path, numbers: &[u64], since: Option<Timestamp>) -> u64 {
    let written_since = |number: &&u64| {
        let Some(since) = since else { return true };
        let written = path(folder, **number).metadata().and_then(|file| file.modified()).ok();
        let at_most = written.and_then(|written| written.checked_add(SLACK));
        // What cannot be told is looked at.
        let at_most = at_most.and_then(|at_most| Timestamp::try_from(at_most).ok());
        at_most.is_none_or(|at_most| at_most >= since)
    };
    let found = numbers.iter().find(written_since).or(numbers.last());
    found.copied().unwrap_or_default()
}

/// The place before the last so many lines, or the last one; that of the oldest where there are fewer. It
/// reads files: call it from a thread that may block.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn before_last(folder: &Path, lines: usize) -> io::Result<Place> {
    let (mut missing, mut looked_at) = (lines.max(1), 0);
    let mut oldest = Place::default();
    for number in numbers(folder)?.into_iter().rev() {
        let mut file = match File::open(path(folder, number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let length = file.metadata()?.len();
        oldest = Place { file: number, offset: 0 };
        let mut end = length;
        let mut block = Vec::with_capacity(BLOCK);
        while end > 0 {
            if looked_at >= MAX_LOOKED_AT {
                // Lines are not as long as that: it is damaged, and what follows is read.
                return Ok(Place { file: number, offset: end });
            }
            let begin = end.saturating_sub(BLOCK as u64);
            block.clear();
            file.seek(SeekFrom::Start(begin))?;
            file.by_ref().take(end - begin).read_to_end(&mut block)?;
            for (at, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
                let offset = begin + at as u64 + 1;
                // What ends with the file begins no line.
                missing -= usize::from(offset < length);
                if missing == 0 {
                    return Ok(Place { file: number, offset });
                }
            }
            looked_at += end - begin;
            end = begin;
        }
        // The first line of the file begins with it.
        missing -= usize::from(length > 0);
        if missing == 0 {
            break;
        }
    }
    Ok(oldest)
}

struct Reading<'a> {
    query: &'a AuditQuery,
    at_most: usize,
    looked_at: u64,
    bytes: usize,
    page: AuditPage,
}

impl Reading<'_> {
    fn is_full(&self) -> bool {
        self.page.lines.len() >= self.at_most
            || self.bytes >= MAX_PAGE
            || self.looked_at >= MAX_LOOKED_AT
    }

    /// Reads on in a file, to its end or until the page is full.
    fn file(&mut self, mut file: File, is_newest: bool) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.page.place.offset))?;
        let mut reader = BufReader::with_capacity(64 << 10, file);
        let mut line = Vec::new();
        while !self.is_full() {
            line.clear();
            let (bytes, is_read) = match next(&mut reader, &mut line)? {
                Next::Line => (line.len() as u64 + 1, self.line(&line)),
                Next::TooLong(bytes) => (bytes, false),
                // It is being written.
                Next::Unended if is_newest => break,
                Next::Unended => (line.len() as u64, false),
                Next::End => break,
            };
            self.page.unreadable += u64::from(!is_read);
            self.page.place.offset += bytes;
            self.looked_at += bytes;
        }
        Ok(())
    }

    /// Takes a line if it is wanted; whether it can be read.
    fn line(&mut self, line: &[u8]) -> bool {
        let Ok(text) = str::from_utf8(line) else { return false };
        let Ok(looked) = serde_json::from_str::<Looked>(text) else { return false };
        if self.query.wants(&looked) {
            self.bytes += text.len();
            self.page.lines.push(text.to_owned());
        }
        true
    }
}

fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Next> {
    reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', line)?;
    match line.last() {
        None => Ok(Next::End),
        Some(b'\n') => {
            line.pop();
            Ok(Next::Line)
        }
        Some(_) if line.len() <= MAX_LINE => Ok(Next::Unended),
        Some(_) => Ok(Next::TooLong(line.len() as u64 + skip_line(reader)?)),
    }
}

/// Passes over the rest of a line, and says how many bytes that were.
fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let found = buffer.iter().position(|byte| *byte == b'\n');
        let length = found.map_or(buffer.len(), |at| at + 1);
        reader.consume(length);
        skipped += length as u64;
        if found.is_some() {
            return Ok(skipped);
        }
    }
}
