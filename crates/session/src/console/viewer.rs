//! One who looks at a line: a stream of what it writes, and of what is typed.

use super::hub::{Inner, mark};
use bytes::Bytes;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::PollSender;

/// What is typed at once, in bytes.
const PIECE: usize = 4 << 10;

/// A place at a line. Dropping it leaves the line to the others.
///
/// Reading ends when the line does. What is written while somebody else types is lost, as is what is
/// written after the line's end.
#[derive(Debug)]
pub struct Viewer {
    hub: Arc<Inner>,
    typed: PollSender<Bytes>,
    number: u64,
    position: u64,
    /// What is shown before anything else, and how much of it has been.
    note: (String, usize),
    skipped: u64,
}

impl Viewer {
    pub(super) fn new(hub: Arc<Inner>, number: u64, position: u64) -> Self {
        let typed = PollSender::new(hub.typed.clone());
        Self { hub, typed, number, position, note: (String::new(), 0), skipped: 0 }
    }

    /// How many bytes it was not shown, since it did not keep up.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many look at the line, this one included.
    pub fn viewers(&self) -> usize {
        self.hub.shared.state().floor.len()
    }

    /// Whether what it types arrives, now.
    pub fn may_type(&self) -> bool {
        self.hub.shared.state().floor.may_type(self.number)
    }

    fn show_note(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let (note, shown) = &mut self.note;
        let rest = &note.as_bytes()[*shown..];
        if rest.is_empty() {
            return false;
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        *shown += length;
        true
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.hub.shared.leave(self.number);
    }
}

impl AsyncRead for Viewer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.show_note(buffer) {
            return Poll::Ready(Ok(()));
        }
        let hub = this.hub.clone();
        let mut state = hub.shared.state();
        let mut note = state.notes.remove(&this.number).unwrap_or_default();
        if let Some(to) = state.scrollback.skip(this.position) {
            let skipped = to - this.position;
            this.position = to;
            this.skipped += skipped;
            note.push_str(&mark(&format!("{skipped} bytes skipped")));
        }
        if !note.is_empty() {
            drop(state);
            this.note = (note, 0);
            this.show_note(buffer);
            return Poll::Ready(Ok(()));
        }
        let length = state.scrollback.read(this.position, buffer.initialize_unfilled());
        if length > 0 {
            this.position += length as u64;
            state.shown = state.shown.max(this.position);
            drop(state);
            buffer.advance(length);
            return Poll::Ready(Ok(()));
        }
        if state.ended {
            return Poll::Ready(Ok(()));
        }
        state.waiting.insert(this.number, cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Viewer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.may_type() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let piece = &bytes[..bytes.len().min(PIECE)];
        // Where the line has ended there is still something to read, maybe; that tells of the end.
        if ready!(self.typed.poll_reserve(cx)).is_ok() {
            let _ = self.typed.send_item(Bytes::copy_from_slice(piece));
        }
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Others go on typing; only this one has said all.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
