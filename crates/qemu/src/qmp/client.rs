//! One connection to QEMU's control socket.

use super::{
    commands::{Capabilities, Command},
    wire::{ErrorReply, Event, Line},
};
use rustix::{
    fd::{AsFd, OwnedFd},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use serde_json::value::RawValue;
use std::{
    collections::HashMap,
    io::{self, IoSlice},
    mem::MaybeUninit,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Interest},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

/// How long QEMU may take to answer one command. Its main loop answers within a millisecond unless
/// it is stuck in a host's file system or stopped.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The longest line that is read, in bytes: a full serial ring in UTF-8 with every byte escaped.
const MAX_LINE: u64 = 2 << 20;

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QmpError {
    #[error("QEMU's socket cannot be reached")]
    Connect(#[source] io::Error),
    #[error("another process listens where QEMU did")]
    Stranger,
    #[error("QEMU closed its control socket")]
    Closed,
    #[error("QEMU did not answer {0} within {seconds} s", seconds = ANSWER_WITHIN.as_secs())]
    Timeout(&'static str),
    #[error("QEMU refused {command}: {}", reply.desc)]
    Refused { command: &'static str, reply: ErrorReply },
    #[error("QEMU's answer to {command} is not understood")]
    Unreadable { command: &'static str, source: serde_json::Error },
}

pub(super) type Answer = Result<Box<RawValue>, ErrorReply>;
/// Who waits for an answer; `None` once none will come any more.
pub(super) type Waiting = Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>;

/// A line on its way to QEMU, and the descriptor that goes with it.
struct Outgoing {
    line: String,
    descriptor: Option<OwnedFd>,
}

/// A connection. Dropping it closes the socket.
#[derive(Debug)]
pub(crate) struct Qmp {
    lines: mpsc::UnboundedSender<Outgoing>,
    waiting: Arc<Waiting>,
    next_id: AtomicU64,
    _reader: AbortOnDropHandle<()>,
    _writer: AbortOnDropHandle<()>,
}

impl Qmp {
    /// Waits for the greeting and negotiates. The receiver gets every event from then on, and ends
    /// when the connection does.
    ///
    /// # Errors
    /// QEMU hung up, or said nothing in time (connections of a monitor are served one after the
    /// other, so that a second one hears nothing).
    pub(crate) async fn negotiate(
        stream: UnixStream,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Event>), QmpError> {
        let (read, write) = stream.into_split();
        let mut reader = BufReader::new(read);
        let greeting = tokio::time::timeout(ANSWER_WITHIN, read_line(&mut reader)).await;
        greeting.map_err(|_| QmpError::Timeout("the connection"))?.map_err(QmpError::Connect)?;

        let waiting = Arc::new(Waiting::new(Some(HashMap::new())));
        let (events_to, events) = mpsc::unbounded_channel();
        let (lines, lines_from) = mpsc::unbounded_channel();
        let reader = tokio::spawn(read_all(reader, waiting.clone(), events_to));
        let writer = tokio::spawn(write_all(write, lines_from));
        let qmp = Self {
            lines,
            waiting,
            next_id: AtomicU64::new(1),
            _reader: AbortOnDropHandle::new(reader),
            _writer: AbortOnDropHandle::new(writer),
        };
        qmp.execute(&Capabilities {}).await?;
        Ok((qmp, events))
    }

    /// Sends a command and waits for its answer, at most [`ANSWER_WITHIN`]. When the future is
    /// dropped the command may still be carried out; its answer is thrown away when it comes.
    ///
    /// # Errors
    /// QEMU refused, did not answer, or is gone.
    pub(crate) async fn execute<C: Command>(&self, command: &C) -> Result<C::Answer, QmpError> {
        self.send(command, None).await
    }

    /// The same for a command that QEMU is handed an open file with. The daemon's own descriptor of it is
    /// closed, sent or not.
    ///
    /// # Errors
    /// As above.
    pub(crate) async fn execute_with<C: Command>(
        &self,
        command: &C,
        descriptor: OwnedFd,
    ) -> Result<C::Answer, QmpError> {
        self.send(command, Some(descriptor)).await
    }

    /// The same for as long as it takes: a QEMU that is held answers when it is let go on.
    ///
    /// # Errors
    /// QEMU refused, or is gone.
    pub(crate) async fn execute_patiently<C: Command>(
        &self,
        command: &C,
    ) -> Result<C::Answer, QmpError> {
        self.send_and_wait(command, None).await
    }

    async fn send<C: Command>(
        &self,
        command: &C,
        descriptor: Option<OwnedFd>,
    ) -> Result<C::Answer, QmpError> {
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.send_and_wait(command, descriptor));
        answer.await.map_err(|_| QmpError::Timeout(C::NAME))?
    }

    async fn send_and_wait<C: Command>(
        &self,
        command: &C,
        descriptor: Option<OwnedFd>,
    ) -> Result<C::Answer, QmpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let line = serde_json::json!({ "execute": C::NAME, "arguments": command, "id": id });
        let (answer_to, answer) = oneshot::channel();
        lock(&self.waiting).as_mut().ok_or(QmpError::Closed)?.insert(id, answer_to);
        // Forgets the waiter however this future ends, so that one who gives up costs nothing.
        let _forget = Forget { waiting: &self.waiting, id };
        let outgoing = Outgoing { line: format!("{line}\n"), descriptor };
        self.lines.send(outgoing).map_err(|_| QmpError::Closed)?;

        let answer = answer.await.map_err(|_| QmpError::Closed)?;
        let text = answer.map_err(|reply| QmpError::Refused { command: C::NAME, reply })?;
        serde_json::from_str(text.get())
            .map_err(|source| QmpError::Unreadable { command: C::NAME, source })
    }
}

fn lock(
    waiting: &Waiting,
) -> std::sync::MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answer>>>> {
    // A panic between lock and unlock is impossible: only map operations happen there.
    waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Forget<'a> {
    waiting: &'a Waiting,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = lock(self.waiting).as_mut() {
            waiting.remove(&self.id);
        }
    }
}

async fn write_all(mut socket: OwnedWriteHalf, mut lines: mpsc::UnboundedReceiver<Outgoing>) {
    while let Some(Outgoing { line, descriptor }) = lines.recv().await {
        let mut bytes = line.as_bytes();
        if let Some(descriptor) = descriptor {
            match send_with(&socket, bytes, &descriptor).await {
                Ok(sent) => bytes = &bytes[sent..],
                Err(_) => return,
            }
        }
        if socket.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Sends a descriptor with the beginning of a line; says how much of the line went with it.
async fn send_with(
    socket: &OwnedWriteHalf,
    line: &[u8],
    descriptor: &OwnedFd,
) -> io::Result<usize> {
    let socket: &UnixStream = socket.as_ref();
    socket
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let descriptors = [descriptor.as_fd()];
            // There is room for exactly this one.
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
            let bytes = [IoSlice::new(line)];
            Ok(sendmsg(socket, &bytes, &mut ancillary, SendFlags::NOSIGNAL)?)
        })
        .await
}

async fn read_all(
    mut reader: BufReader<OwnedReadHalf>,
    waiting: Arc<Waiting>,
    events: mpsc::UnboundedSender<Event>,
) {
    loop {
        match read_line(&mut reader).await {
            Ok(text) => deliver(&text, &waiting, &events),
            Err(error) => {
                debug!(%error, "QMP connection ended");
                break;
            }
        }
    }
    // Whoever still waits learns that no answer will come, and whoever comes later.
    lock(&waiting).take();
}

pub(super) async fn read_line<R: AsyncRead + Unpin>(
    reader: &mut BufReader<R>,
) -> io::Result<String> {
    let mut line = Vec::new();
    let read = reader.take(MAX_LINE).read_until(b'\n', &mut line).await?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an endless line"));
    }
    String::from_utf8(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Hands one line to whom it concerns; a line that is nobody's is dropped.
pub(super) fn deliver(text: &str, waiting: &Waiting, events: &mpsc::UnboundedSender<Event>) {
    let line: Line<'_> = match serde_json::from_str(text) {
        Ok(line) => line,
        Err(error) => {
            debug!(%error, "a QMP line that is not understood");
            return;
        }
    };
    if let Some(name) = line.event {
        let event = Event { name, data: line.data, time: line.timestamp.unwrap_or_default() };
        // Nobody listens any more: the machine is being let go of.
        let _ = events.send(event);
        return;
    }
    let answer = match (line.returned, line.error) {
        (Some(value), _) => Ok(value.to_owned()),
        (None, Some(error)) => Err(error),
        (None, None) => {
            debug!(greeting = line.greeting.is_some(), "a QMP line without an answer");
            return;
        }
    };
    if let Some(waiter) = line.id.and_then(|id| lock(waiting).as_mut()?.remove(&id)) {
        // The waiter may have given up meanwhile.
        let _ = waiter.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qmp::commands::{QueryStatus, SystemReset};
    use serde_json::Value;

    /// A peer that greets, negotiates, then plays its part.
    async fn with_peer<F, Fut>(part: F) -> (Qmp, mpsc::UnboundedReceiver<Event>)
    where
        F: FnOnce(BufReader<UnixStream>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let (ours, theirs) = UnixStream::pair().unwrap();
        tokio::spawn(async move {
            let mut peer = BufReader::new(theirs);
            say(&mut peer, r#"{"QMP":{"version":{},"capabilities":[]}}"#).await;
            let hello = hear(&mut peer).await;
            say(&mut peer, &format!(r#"{{"return":{{}},"id":{}}}"#, hello["id"])).await;
            part(peer).await;
        });
        Qmp::negotiate(ours).await.unwrap()
    }

    async fn say(peer: &mut BufReader<UnixStream>, line: &str) {
        peer.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    async fn hear(peer: &mut BufReader<UnixStream>) -> Value {
        let mut line = String::new();
        peer.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    #[tokio::test]
    async fn unknown_events_and_lines_do_not_disturb_an_answer() {
        let (qmp, mut events) = with_peer(|mut peer| async move {
            let command = hear(&mut peer).await;
            say(&mut peer, r#"{"event":"NEVER_HEARD_OF","data":{"x":[1]}}"#).await;
            say(&mut peer, "nonsense").await;
            say(&mut peer, r#"{"return":{},"id":4711}"#).await;
            let answer = format!(
                r#"{{"return":{{"status":"a-new-word","extra":1}},"id":{}}}"#,
                command["id"]
            );
            say(&mut peer, &answer).await;
        })
        .await;
        assert_eq!(qmp.execute(&QueryStatus {}).await.unwrap().status, "a-new-word");
        assert_eq!(events.recv().await.unwrap().name, "NEVER_HEARD_OF");
    }

    #[tokio::test]
    async fn a_caller_who_gives_up_leaves_the_connection_whole() {
        let (qmp, _events) = with_peer(|mut peer| async move {
            let abandoned = hear(&mut peer).await;
            let second = hear(&mut peer).await;
            say(&mut peer, &format!(r#"{{"return":{{}},"id":{}}}"#, abandoned["id"])).await;
            let answer = format!(r#"{{"return":{{"status":"running"}},"id":{}}}"#, second["id"]);
            say(&mut peer, &answer).await;
        })
        .await;
        {
            let reset = SystemReset {};
            let abandoned = qmp.execute(&reset);
            tokio::pin!(abandoned);
            // Polled once, so that the command is on its way, then dropped.
            let given_up = tokio::time::timeout(Duration::ZERO, abandoned).await;
            assert!(given_up.is_err());
        }
        assert_eq!(lock(&qmp.waiting).as_ref().map(HashMap::len), Some(0), "it is forgotten");
        assert_eq!(qmp.execute(&QueryStatus {}).await.unwrap().status, "running");
    }

    #[tokio::test]
    async fn a_refusal_carries_the_words_of_qemu_and_a_hang_up_is_told() {
        let (qmp, mut events) = with_peer(|mut peer| async move {
            let command = hear(&mut peer).await;
            let answer = format!(
                r#"{{"error":{{"class":"GenericError","desc":"no such luck"}},"id":{}}}"#,
                command["id"]
            );
            say(&mut peer, &answer).await;
            hear(&mut peer).await;
        })
        .await;
        let refused = qmp.execute(&SystemReset {}).await.unwrap_err();
        assert!(refused.to_string().contains("no such luck"), "{refused}");
        assert!(matches!(qmp.execute(&SystemReset {}).await, Err(QmpError::Closed)));
        assert!(events.recv().await.is_none());
        // One who asks later is not left waiting for what cannot come.
        let later = tokio::time::timeout(Duration::from_secs(5), qmp.execute(&SystemReset {}));
        assert!(matches!(later.await, Ok(Err(QmpError::Closed))));
    }
}
