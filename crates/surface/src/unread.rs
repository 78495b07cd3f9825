//! Callers who do not read what they asked for: a write that gets nowhere is an error in the end.
//!
//! It is looked for below HTTP: whoever waits to write asks for nothing else meanwhile, neither for the answer's next
//! piece nor whether its caller may still have it. Once a connection has become a session, that says itself when it
//! ends, and its writes wait as long as it does.

use socket2::SockRef;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// The most bytes that wait in the system to be sent, beyond those that the peer has room for. With more of them, a
/// reader who is slow but reads would seem not to.
const UNSENT: u32 = 128 << 10;

/// Has a connection send at once, and say soon that it has room for more.
///
/// # Errors
/// The system's.
pub(crate) fn prompt(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_notsent_lowat(UNSENT)
}

/// A connection whose writes fail ([`io::ErrorKind::TimedOut`]) when nothing of them was taken for so long.
#[derive(Debug)]
pub(crate) struct Impatient<Io> {
    socket: Io,
    at_most: Duration,
    is_session: Arc<AtomicBool>,
    /// There while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<Io> Impatient<Io> {
    /// Whoever sets `is_session` lets writes wait for ever from then on.
    pub(crate) fn new(socket: Io, at_most: Duration, is_session: Arc<AtomicBool>) -> Self {
        Self { socket, at_most, is_session, waiting: None }
    }
}

impl<Io: Unpin> Impatient<Io> {
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(Pin::new(&mut self.socket), cx);
        if written.is_ready() || self.is_session.load(Ordering::Acquire) {
            self.waiting = None;
            return written;
        }
        // Until the peer reads: there is nothing else to wait for.
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(self.at_most)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing of the answer is read")))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Impatient<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Impatient<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.bounded(cx, |socket, cx| socket.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.bounded(cx, |socket, cx| socket.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bounded(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bounded(cx, AsyncWrite::poll_shutdown)
    }
}
