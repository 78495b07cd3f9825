//! A session in the list, and what goes through it.

use super::Sessions;
use innkeeper_driver::ByteStream;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What went through a session, in bytes.
#[derive(Debug, Default)]
pub(super) struct Counts {
    shown: AtomicU64,
    typed: AtomicU64,
}

impl Counts {
    pub(super) fn get(&self) -> (u64, u64) {
        (self.shown.load(Ordering::Relaxed), self.typed.load(Ordering::Relaxed))
    }
}

/// Keeps a session in the list of those that are open, until it is dropped.
#[derive(Debug)]
pub struct SessionGuard {
    sessions: Sessions,
    number: u64,
    counts: Arc<Counts>,
}

impl SessionGuard {
    pub(super) const fn new(sessions: Sessions, number: u64, counts: Arc<Counts>) -> Self {
        Self { sessions, number, counts }
    }

    /// So many bytes went to the caller.
    pub fn shown(&self, bytes: u64) {
        self.counts.shown.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes came from the caller.
    pub fn typed(&self, bytes: u64) {
        self.counts.typed.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.sessions.remove(self.number);
    }
}

/// A stream that is listed while it lives.
pub(super) struct Counted<S> {
    stream: S,
    guard: SessionGuard,
}

impl<S: ByteStream> Counted<S> {
    pub(super) const fn new(stream: S, guard: SessionGuard) -> Self {
        Self { stream, guard }
    }
}

impl<S: ByteStream> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.guard.shown((buffer.filled().len() - before) as u64);
        Poll::Ready(Ok(()))
    }
}

impl<S: ByteStream> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.guard.typed(written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
