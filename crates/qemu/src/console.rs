//! The serial console, between a viewer and QEMU's socket.
//!
//! QEMU stops its guest's serial line while a connected client does not read (measured with QEMU 10:
//! after some 280 bytes the guest hangs in its kernel's log). So the daemon always reads, and a viewer
//! who does not keep up loses output; the guest never waits for one.

use futures_util::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, split},
    net::UnixStream,
    sync::OwnedMutexGuard,
};
use tracing::debug;

/// How much output waits for a slow viewer, in bytes.
const VIEWER_BUFFER: usize = 256 << 10;

/// The viewer's end of a console on this socket. Dropping it closes the console. `seat` is kept until
/// QEMU's side is closed as well: it has room for one client, and leaves a second one hanging.
pub(crate) fn open(socket: UnixStream, seat: OwnedMutexGuard<()>) -> DuplexStream {
    let (ours, viewers) = duplex(VIEWER_BUFFER);
    tokio::spawn(async move {
        relay(socket, ours).await;
        drop(seat);
    });
    viewers
}

async fn relay(socket: UnixStream, viewer: DuplexStream) {
    let (mut from_guest, mut to_guest) = socket.into_split();
    let (mut from_viewer, mut to_viewer) = split(viewer);
    let output = async {
        let mut buffer = vec![0; 16 << 10];
        let mut lost = 0;
        while let Ok(length @ 1..) = from_guest.read(&mut buffer).await {
            match to_viewer.write_all(&buffer[..length]).now_or_never() {
                Some(Ok(())) => {}
                Some(Err(_)) => break,
                None => lost += length,
            }
        }
        debug!(lost, "the console's output ended");
    };
    // Either end ends the console.
    tokio::select! {
        () = output => {}
        typed = copy(&mut from_viewer, &mut to_guest) => debug!(?typed, "the viewer left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, time::Duration};
    use tokio::sync::Mutex;

    fn seat() -> OwnedMutexGuard<()> {
        Arc::new(Mutex::new(())).try_lock_owned().unwrap()
    }

    #[tokio::test]
    async fn a_viewer_who_does_not_read_never_stalls_the_guest() {
        let (mut guest, socket) = UnixStream::pair().unwrap();
        let mut viewer = open(socket, seat());
        let line = [b'x'; 1024];
        for _ in 0..4 * VIEWER_BUFFER / line.len() {
            let written = tokio::time::timeout(Duration::from_secs(10), guest.write_all(&line));
            written.await.expect("the guest is not held").unwrap();
        }
        drop(guest);
        let mut seen = Vec::new();
        viewer.read_to_end(&mut seen).await.unwrap();
        assert!(!seen.is_empty() && seen.len() < 4 * VIEWER_BUFFER);
    }

    #[tokio::test]
    async fn what_is_typed_arrives_and_leaving_hangs_up() {
        let (mut guest, socket) = UnixStream::pair().unwrap();
        let mut viewer = open(socket, seat());
        viewer.write_all(b"root\n").await.unwrap();
        let mut typed = [0; 5];
        guest.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, b"root\n");
        drop(viewer);
        assert_eq!(guest.read(&mut typed).await.unwrap(), 0);
    }
}
