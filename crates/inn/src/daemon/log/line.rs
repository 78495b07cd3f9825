//! An event on its way out: one line, whatever is quoted in it, to the standard error and to the tail.
//!
//! Whoever logs does not fail, whatever becomes of the standard error: its pipe may be closed, and what it is a
//! file on may be full.

use super::tail::Tail;
use std::{
    borrow::Cow,
    io::{self, Write},
};
use tracing_subscriber::fmt::MakeWriter;

/// Where events go.
pub(super) struct Lines<To> {
    pub(super) tail: Tail,
    pub(super) to: To,
}

/// Where one event goes.
pub(super) struct Line<'a, To> {
    tail: &'a Tail,
    to: To,
}

impl<'a, To: MakeWriter<'a>> MakeWriter<'a> for Lines<To> {
    type Writer = Line<'a, To::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { tail: &self.tail, to: self.to.make_writer() }
    }
}

impl<To: Write> Write for Line<'_, To> {
    /// Takes an event, which is written all at once.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = one_line(event);
        // First, since the other may hang.
        self.tail.keep(&plain(&line));
        // Told nobody: what would be told of it would go the same way, and end the thread.
        let _ = self.to.write_all(&line);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.to.flush();
        Ok(())
    }
}

/// An event as one line: what callers, guests and programs wrote has no ends of lines in it, or it could pass
/// for events of its own.
pub(super) fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    if text.len() < event.len() && !text.iter().any(is_end) {
        return Cow::Borrowed(event);
    }
    let mut line = Vec::with_capacity(event.len() + 16);
    for byte in text {
        match byte {
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            other => line.push(*other),
        }
    }
    line.push(b'\n');
    Cow::Owned(line)
}

/// A line without the colours that it has for a terminal. (What is quoted in it has no escapes any more.)
fn plain(line: &[u8]) -> Cow<'_, [u8]> {
    const ESCAPE: u8 = 0x1b;
    if !line.contains(&ESCAPE) {
        return Cow::Borrowed(line);
    }
    let mut parts = line.split(|byte| *byte == ESCAPE);
    let mut text = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let colour = part.iter().position(|byte| *byte == b'm').map_or(0, |end| end + 1);
        text.extend(&part[colour..]);
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::fmt;

    /// A stream that takes nothing.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn logged(ansi: bool, log: impl FnOnce()) -> String {
        let tail = Tail::default();
        let lines = Lines { tail: tail.clone(), to: || Closed };
        let subscriber = fmt().with_writer(lines).with_ansi(ansi).finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(tail.read()).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_it_quotes() {
        let name = "web\n2026-01-01T00:00:00Z  INFO innkeeper: all is well\r\x1b[2J";
        let text = logged(false, || tracing::warn!(%name, "no such VM: {name}"));
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(text.ends_with('\n') && !text.contains(['\r', '\x1b']), "{text:?}");
        assert!(text.contains(r"web\n2026") && text.contains("all is well"), "{text:?}");
    }

    #[test]
    fn what_is_coloured_on_a_terminal_is_kept_without() {
        let text = logged(true, || tracing::warn!(vm = "web", "it is gone"));
        assert!(text.contains("WARN") && text.contains("vm=\"web\""), "{text:?}");
        assert!(text.contains("it is gone") && !text.contains(['\x1b', '[']), "{text:?}");
    }

    #[test]
    fn whoever_logs_does_not_fail_for_the_stream() {
        let tail = Tail::default();
        let mut line = Line { tail: &tail, to: Closed };
        line.write_all(b"an event\n").unwrap();
        line.flush().unwrap();
        assert_eq!(tail.read(), b"an event\n");
    }
}
