//! Callers who do not read what they asked for: a write that gets nowhere is an error in the end.
//!
//! It is looked for below HTTP: whoever waits to write asks for nothing else meanwhile, neither for the answer's next
//! piece nor whether its caller may still have it. Once a connection has become a session, that says itself when it
//! ends, and its writes wait as long as it does.
//!
//! The system keeps megabytes that were written and not read yet, and says that there is room for more only when much
//! of that has gone. So a write may wait long for a reader who is slow and reads: how much is left there tells the two
//! apart.

use crate::places::Connection;
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
    time::{Sleep, sleep},
};

/// A connection whose writes fail ([`io::ErrorKind::TimedOut`]) when the peer took nothing for so long.
#[derive(Debug)]
pub(crate) struct Impatient<Io> {
    socket: Io,
    at_most: Duration,
    is_session: Arc<AtomicBool>,
    /// There while a write waits.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    until: Pin<Box<Sleep>>,
    /// What the peer had not taken when it began, in bytes.
    unread: u32,
}

impl<Io> Impatient<Io> {
    /// Whoever sets `is_session` lets writes wait for ever from then on.
    pub(crate) fn new(socket: Io, at_most: Duration, is_session: Arc<AtomicBool>) -> Self {
        Self { socket, at_most, is_session, waiting: None }
    }
}

impl<Io: Connection + Unpin> Impatient<Io> {
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
        loop {
            let unread = self.socket.unread();
            let waiting = self.waiting.get_or_insert_with(|| {
                // Until the peer reads: there is nothing else to wait for.
                Waiting { until: Box::pin(sleep(self.at_most)), unread }
            });
            ready!(waiting.until.as_mut().poll(cx));
            if unread >= waiting.unread {
                let nothing = "nothing of the answer is read";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, nothing)));
            }
            self.waiting = None;
        }
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

impl<Io: AsyncWrite + Connection + Unpin> AsyncWrite for Impatient<Io> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixStream,
    };

    /// What is kept of a write is several times what this reader reads in `AT_MOST`, which is several times what it
    /// reads between two looks at how much is left.
    #[tokio::test]
    async fn who_reads_slowly_what_the_system_keeps_is_not_cut_off() {
        const AT_MOST: Duration = Duration::from_secs(3);
        let (socket, mut reader) = UnixStream::pair().unwrap();
        let mut socket = Impatient::new(socket, AT_MOST, Arc::default());
        let sent = tokio::spawn(async move { socket.write_all(&vec![7; 1 << 20]).await });
        let mut piece = [0; 1 << 12];
        for _ in 0..60 {
            // As slowly as this reader reads.
            sleep(AT_MOST / 30).await;
            assert_ne!(reader.read(&mut piece).await.unwrap(), 0, "it was cut off");
        }
        assert!(!sent.is_finished(), "nobody waited");
        reader.read_to_end(&mut Vec::new()).await.unwrap();
        sent.await.unwrap().unwrap();
    }
}
