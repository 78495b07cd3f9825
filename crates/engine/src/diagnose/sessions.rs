//! Who has a stream open to something in a machine. Counted here, so that a diagnosis can name them.

use innkeeper_driver::ByteStream;
use innkeeper_model::{Timestamp, VmId, diagnosis::SessionDiagnosis};
use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The open streams. Clones are one list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    sessions: BTreeMap<u64, SessionDiagnosis>,
}

impl Sessions {
    fn open(&self) -> MutexGuard<'_, Open> {
        // Only map operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a stream for as long as it is open.
    pub(crate) fn list(
        &self,
        vm: VmId,
        kind: &str,
        stream: Box<dyn ByteStream>,
    ) -> Box<dyn ByteStream> {
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        let session = SessionDiagnosis { vm, kind: kind.into(), since: Timestamp::now() };
        open.sessions.insert(number, session);
        drop(open);
        Box::new(Listed { stream, sessions: self.clone(), number })
    }

    /// Those that are open, the oldest first.
    pub(crate) fn all(&self) -> Vec<SessionDiagnosis> {
        self.open().sessions.values().cloned().collect()
    }
}

/// A stream that is listed while it lives.
struct Listed {
    stream: Box<dyn ByteStream>,
    sessions: Sessions,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.sessions.open().sessions.remove(&self.number);
    }
}

impl AsyncRead for Listed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Listed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
