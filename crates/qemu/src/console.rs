//! A place at one of a machine's sockets: its serial line, or the channel to its guest's agent.
//!
//! QEMU has room for one client at each, and leaves a second one hanging; so there is one place here,
//! too. It stops its guest's serial line while a connected client does not read (measured with QEMU 10:
//! after some 280 bytes the guest hangs in its kernel's log), so whoever has the place reads on.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    sync::OwnedMutexGuard,
};

/// A connection to a socket that has room for one. The place is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Seated {
    // Closed first, then the place is free.
    socket: UnixStream,
    _seat: OwnedMutexGuard<()>,
}

impl Seated {
    pub(crate) const fn new(socket: UnixStream, seat: OwnedMutexGuard<()>) -> Self {
        Self { socket, _seat: seat }
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::Mutex,
    };

    #[tokio::test]
    async fn what_is_typed_arrives_and_leaving_hangs_up_and_frees_the_place() {
        let (mut guest, socket) = UnixStream::pair().unwrap();
        let place = Arc::new(Mutex::new(()));
        let mut viewer = Seated::new(socket, place.clone().try_lock_owned().unwrap());
        viewer.write_all(b"root\n").await.unwrap();
        let mut typed = [0; 5];
        guest.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, b"root\n");
        assert!(place.try_lock().is_err());
        drop(viewer);
        assert_eq!(guest.read(&mut typed).await.unwrap(), 0);
        assert!(place.try_lock().is_ok());
    }
}
