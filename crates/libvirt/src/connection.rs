//! One connection to libvirt: calls that run at the same time, told apart by their serial numbers, and
//! what libvirt tells by itself.
//!
//! Two tasks own the socket, one for each direction, so that a call that is dropped halfway tears no
//! message: its answer is awaited by nobody and thrown away. They end with the connection's last handle,
//! and when either direction fails; every call that is under way is then told why.

use crate::{
    error::{Error, Loss},
    protocol::{
        Deadline, DomainEvent, Frame, FrameError, Frames, Header, Kind, Procedure, RemoteError,
        Status, keepalive, message, remote,
    },
    xdr,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::debug;

/// How many calls are under way at once, of those that are answered soon and of those that are answered
/// late, which must not keep the others waiting. libvirt answers five calls of a client at the same time
/// (`max_client_requests`), and reads no more while it does: not even whether the client is there.
const SOON_AT_ONCE: usize = 3;
const LATE_AT_ONCE: usize = 2;
/// How many messages wait to be sent at most. Calls are few; the rest is for answers to pings.
const OUTGOING: usize = 32;
/// How many events wait to be looked at, at most.
const EVENTS: usize = 16_384;

/// How long libvirt may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// After so much silence it is asked whether it is there.
    pub(crate) ask_after: Duration,
    /// So often in a row, before it is taken for gone.
    pub(crate) ask_times: u32,
    /// How long an answer may take that libvirt has in memory.
    pub(crate) soon: Duration,
    /// How long one may take before which a machine is made or ended, or QEMU is probed anew.
    pub(crate) late: Duration,
}

/// The first two are libvirt's own clients' (`keepalive_interval`, `keepalive_count`).
impl Default for Patience {
    fn default() -> Self {
        Self {
            ask_after: Duration::from_secs(5),
            ask_times: 5,
            soon: Duration::from_secs(10),
            late: Duration::from_secs(120),
        }
    }
}

/// What was said in answer to a call.
type Answer = Result<Frame, Arc<Loss>>;

/// A connection. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Vec<u8>>,
    soon: Arc<Semaphore>,
    late: Arc<Semaphore>,
    patience: Patience,
    _tasks: [AbortOnDropHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    calls: Mutex<Calls>,
    /// Set once, before `ended` is cancelled.
    loss: OnceLock<Arc<Loss>>,
    ended: CancellationToken,
    /// Whether libvirt answers when it is asked whether it is there.
    answers_pings: AtomicBool,
}

#[derive(Debug, Default)]
struct Calls {
    last_serial: u32,
    waiting: HashMap<u32, Waiting>,
}

/// A call that libvirt has not answered; whether anybody waits for that or not, libvirt is busy with it.
#[derive(Debug)]
struct Waiting {
    caller: oneshot::Sender<Answer>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    /// Speaks libvirt's protocol over a stream, and gives what libvirt tells by itself.
    pub(crate) fn new<S>(stream: S, patience: Patience) -> (Self, mpsc::Receiver<DomainEvent>)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        let (outgoing, to_send) = mpsc::channel(OUTGOING);
        let (events, told) = mpsc::channel(EVENTS);
        let shared = Arc::new(Shared {
            calls: Mutex::default(),
            loss: OnceLock::new(),
            ended: CancellationToken::new(),
            answers_pings: AtomicBool::new(false),
        });
        let hears = Listener {
            shared: shared.clone(),
            // The sender that keeps the other task is the connection's own.
            outgoing: outgoing.downgrade(),
            events,
            patience,
        };
        let listen = tokio::spawn(hears.listen(Frames::new(read)));
        let send = tokio::spawn(send_all(shared.clone(), write, to_send));
        let tasks = [listen, send].map(AbortOnDropHandle::new);
        let [soon, late] =
            [SOON_AT_ONCE, LATE_AT_ONCE].map(|at_once| Arc::new(Semaphore::new(at_once)));
        (Self { shared, outgoing, soon, late, patience, _tasks: tasks }, told)
    }

    /// Calls a procedure. Dropping the call leaves the connection as it is, and what libvirt does about
    /// it to libvirt.
    pub(crate) async fn call<P: Procedure>(
        &self,
        arguments: P::Arguments,
    ) -> Result<P::Answer, Error> {
        let (slots, after) = match P::DEADLINE {
            Deadline::Soon => (&self.soon, self.patience.soon),
            Deadline::Late => (&self.late, self.patience.late),
        };
        let late = |_| Error::Late { procedure: P::NAME, after };
        let slot = timeout(after, self.slot(slots)).await.map_err(late)?.map_err(Error::Lost)?;
        let asked = timeout(after, self.ask(P::NUMBER, &arguments, slot)).await;
        let Frame { header, payload } = asked.map_err(late)?.map_err(Error::Lost)?;
        let not_understood = |cause| Error::NotUnderstood { procedure: P::NAME, cause };
        match header.status {
            Status::Ok => xdr::decode_whole(&payload).map_err(not_understood),
            Status::Error => {
                let RemoteError { code, message } =
                    xdr::decode_whole(&payload).map_err(not_understood)?;
                Err(Error::Refused { procedure: P::NAME, code, message })
            }
        }
    }

    /// Ends when the connection does, with the reason.
    pub(crate) async fn lost(&self) -> Error {
        self.shared.ended.cancelled().await;
        Error::Lost(self.shared.loss())
    }

    /// From now on libvirt is asked whether it is there when it is silent, since it answers that.
    pub(crate) fn ask_when_silent(&self) {
        self.shared.answers_pings.store(true, Ordering::Relaxed);
    }

    /// Ends it at once, whoever still has it: every call fails, and the socket is closed.
    pub(crate) fn hang_up(&self) {
        self.shared.end(Loss::Closed);
    }

    async fn slot(&self, slots: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Arc<Loss>> {
        tokio::select! {
            slot = slots.clone().acquire_owned() => slot.map_err(|_| self.shared.loss()),
            () = self.shared.ended.cancelled() => Err(self.shared.loss()),
        }
    }

    async fn ask(
        &self,
        procedure: i32,
        arguments: &impl xdr::Encode,
        slot: OwnedSemaphorePermit,
    ) -> Answer {
        let (caller, answer) = oneshot::channel();
        let serial = self.shared.register(Waiting { caller, _slot: slot });
        let header = Header {
            program: remote::PROGRAM,
            version: remote::VERSION,
            procedure,
            kind: Kind::Call,
            serial,
            status: Status::Ok,
        };
        if self.outgoing.send(message(&header, arguments)).await.is_err() {
            return Err(self.shared.loss());
        }
        answer.await.unwrap_or_else(|_| Err(self.shared.loss()))
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loss(&self) -> Arc<Loss> {
        self.loss.get().cloned().unwrap_or_else(|| Arc::new(Loss::Closed))
    }

    /// Makes room for an answer, and gives the number of its call.
    fn register(&self, waiting: Waiting) -> u32 {
        let mut calls = self.calls();
        // 0 is for what nobody asked for. After four milliards of calls they begin anew.
        calls.last_serial = calls.last_serial.checked_add(1).unwrap_or(1);
        let serial = calls.last_serial;
        match self.loss.get() {
            // Whoever ends the connection says why, and empties the list, under the same lock.
            Some(loss) => drop(waiting.caller.send(Err(loss.clone()))),
            None => drop(calls.waiting.insert(serial, waiting)),
        }
        serial
    }

    fn answer(&self, frame: Frame) -> Result<(), Loss> {
        let serial = frame.header.serial;
        let mut calls = self.calls();
        if serial == 0 || serial > calls.last_serial {
            return Err(Loss::NeverAsked(serial));
        }
        if let Some(waiting) = calls.waiting.remove(&serial) {
            // Whoever dropped the call does not want it.
            drop(waiting.caller.send(Ok(frame)));
        }
        Ok(())
    }

    /// Ends the connection; the first reason counts.
    fn end(&self, loss: Loss) {
        let waiting = {
            let mut calls = self.calls();
            let _first = self.loss.set(Arc::new(loss));
            std::mem::take(&mut calls.waiting)
        };
        for (_, waiting) in waiting {
            drop(waiting.caller.send(Err(self.loss())));
        }
        self.ended.cancel();
    }
}

/// Whoever hears what libvirt says.
struct Listener {
    shared: Arc<Shared>,
    outgoing: mpsc::WeakSender<Vec<u8>>,
    events: mpsc::Sender<DomainEvent>,
    patience: Patience,
}

impl Listener {
    async fn listen(self, mut frames: Frames<impl AsyncRead + Unpin>) {
        let loss = loop {
            let heard = tokio::select! {
                heard = self.hear(&mut frames) => heard,
                () = self.shared.ended.cancelled() => return,
            };
            if let Err(loss) = heard.and_then(|frame| self.heed(frame)) {
                break loss;
            }
        };
        self.shared.end(loss);
    }

    /// The next message, however long it takes, as long as libvirt is there. A message that comes slowly,
    /// a byte at a time, is silence, too.
    async fn hear(&self, frames: &mut Frames<impl AsyncRead + Unpin>) -> Result<Frame, Loss> {
        let since = Instant::now();
        let mut asked = 0;
        loop {
            if let Ok(heard) = timeout(self.patience.ask_after, frames.next()).await {
                return heard.map_err(|error: FrameError| error.into());
            }
            if !self.shared.answers_pings.load(Ordering::Relaxed) {
                continue;
            }
            if asked == self.patience.ask_times {
                return Err(Loss::Silent(since.elapsed()));
            }
            asked += 1;
            self.say_that_we_are_here(keepalive::PING);
        }
    }

    fn heed(&self, frame: Frame) -> Result<(), Loss> {
        let Header { program, procedure, kind, .. } = frame.header;
        match (program, kind) {
            (remote::PROGRAM, Kind::Reply) => return self.shared.answer(frame),
            (remote::PROGRAM, Kind::Message) => match DomainEvent::of(&frame) {
                Ok(Some(event)) => {
                    let kept = self.events.try_send(event);
                    // Without a reader there is nobody to miss it.
                    if matches!(kept, Err(mpsc::error::TrySendError::Full(_))) {
                        return Err(Loss::Flood);
                    }
                }
                Ok(None) => debug!(procedure, "libvirt told something that is not heeded"),
                Err(error) => debug!(procedure, %error, "libvirt told something that is none"),
            },
            (keepalive::PROGRAM, Kind::Message) if procedure == keepalive::PING => {
                self.say_that_we_are_here(keepalive::PONG);
            }
            _ => debug!(program, procedure, ?kind, "libvirt sent what nobody asked for"),
        }
        Ok(())
    }

    /// Where too much waits to be sent, it is left out: who asks too often is answered sometimes.
    fn say_that_we_are_here(&self, procedure: i32) {
        let header = Header {
            program: keepalive::PROGRAM,
            version: keepalive::VERSION,
            procedure,
            kind: Kind::Message,
            serial: 0,
            status: Status::Ok,
        };
        if let Some(outgoing) = self.outgoing.upgrade() {
            drop(outgoing.try_send(message(&header, &())));
        }
    }
}

/// Sends what there is to send until the connection ends, whoever still has it.
async fn send_all(
    shared: Arc<Shared>,
    mut write: impl AsyncWrite + Unpin,
    mut to_send: mpsc::Receiver<Vec<u8>>,
) {
    let ended = shared.ended.clone();
    let sending = async {
        while let Some(message) = to_send.recv().await {
            if let Err(error) = write.write_all(&message).await {
                return shared.end(Loss::Send(error));
            }
        }
    };
    ended.run_until_cancelled(sending).await;
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
