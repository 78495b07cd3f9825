//! One serial line, and all who look at it.
//!
//! A task of its own reads the line, whoever keeps up: a hypervisor that nobody reads from holds its
//! guest. What is read goes into one bounded buffer, from which each viewer takes at its own pace. The
//! line is let go of when its last viewer has left, and the hub ends with it.

use super::{
    floor::{Floor, Role, Turned},
    scrollback::{HISTORY, LAG, Scrollback},
    viewer::Viewer,
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

/// What is read from the line at once, in bytes.
const PIECE: usize = 32 << 10;
/// How many pieces of input may wait for a line that takes none.
const WAITING_PIECES: usize = 16;
/// A line that is quicker than all who look at it pauses for so long after so many bytes, once they are
/// [`LAG`]'s half behind: that lets those go on that could. It is no longer for any who could not, and
/// no line of a guest's is as quick as that.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_AFTER: usize = 64 << 10;
/// For how long what the line writes is gathered for its viewers, once they were woken: QEMU writes a serial
/// line byte by byte, and each would wake each viewer. (A screen shows a picture each 16 ms.)
const GATHERED: Duration = Duration::from_millis(4);
/// What comes so soon after a key may be its echo, and is shown at once.
const ECHO_WITHIN: Duration = Duration::from_millis(20);
/// How much may wait to be told to one viewer, in bytes, beside what the line writes.
const MOST_NOTES: usize = 4 << 10;
/// How soon after the opening something comes that may be the history's end once more.
const SAME_WITHIN: Duration = Duration::from_millis(50);

/// A line with its viewers. Clones are one hub; when the last of them and the last viewer are gone, the
/// line is let go of.
#[derive(Debug, Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

/// What somebody has who joined.
#[derive(Debug)]
pub struct Joined {
    /// The line.
    pub viewer: Viewer,
    /// Whether what they type arrives.
    pub may_type: bool,
    /// Who types, if that is somebody else.
    pub typist: Option<Arc<str>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) typed: mpsc::Sender<Bytes>,
    /// Ends the task with the last who could use it.
    _task: DropGuard,
}

/// What the task and the viewers share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Cancelled when nobody looks any more.
    deserted: CancellationToken,
    /// Cancelled when the line has been let go of.
    over: CancellationToken,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) scrollback: Scrollback,
    /// Up to where somebody has been shown it.
    pub(super) shown: u64,
    pub(super) floor: Floor,
    pub(super) waiting: BTreeMap<u64, Waker>,
    /// What is told to one viewer alone, beside what the line writes.
    pub(super) notes: BTreeMap<u64, String>,
    pub(super) ended: bool,
    /// When somebody typed last.
    typed: Option<Instant>,
}

impl State {
    fn note(&mut self, numbers: Vec<u64>, note: &str) {
        for number in numbers {
            let notes = self.notes.entry(number).or_default();
            // One who does not read is told the last of it, however often it changed.
            if notes.len() > MOST_NOTES {
                notes.clear();
            }
            notes.push_str(&mark(note));
            if let Some(waker) = self.waiting.remove(&number) {
                waker.wake();
            }
        }
    }

    fn wake_all(&mut self) {
        for (_, waker) in std::mem::take(&mut self.waiting) {
            waker.wake();
        }
    }
}

/// When viewers are woken next.
struct Pace {
    /// When what was gathered is shown.
    due: Instant,
    is_gathering: bool,
}

impl Pace {
    fn woken(&mut self, now: Instant) {
        *self = Self { due: now + GATHERED, is_gathering: false };
    }
}

/// Something that the line did not write, shown where it writes.
pub(super) fn mark(text: &str) -> String {
    format!("\r\n[… {text} …]\r\n")
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // What is done under the lock is a copy of some kilobytes and some map operations.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what the line wrote, which may be the history's end once more. Says whether all viewers are
    /// far behind. They are woken if it may not be gathered any longer, or it may be an echo.
    fn push(&self, bytes: &[u8], may_be_the_same: bool, pace: &mut Pace) -> bool {
        let mut state = self.state();
        let known = if may_be_the_same { state.scrollback.overlap(bytes) } else { 0 };
        state.scrollback.push(&bytes[known..]);
        let outran = state.scrollback.end().saturating_sub(state.shown) > LAG as u64 / 2;
        let now = Instant::now();
        let is_echo = state.typed.is_some_and(|typed| now < typed + ECHO_WITHIN);
        if is_echo || outran || now >= pace.due {
            state.wake_all();
            pace.woken(now);
        } else {
            pace.is_gathering = true;
        }
        outran
    }

    pub(super) fn leave(&self, number: u64) {
        let mut state = self.state();
        let Turned { got, .. } = state.floor.leave(number);
        state.waiting.remove(&number);
        state.notes.remove(&number);
        state.note(got, "you may type now");
        if state.floor.is_empty() {
            self.deserted.cancel();
        }
    }
}

impl Hub {
    /// Takes charge of a line, and begins to read it. `history` is what it wrote before; where it ends
    /// with what the line writes first, that is shown once.
    ///
    /// Must be called in a runtime.
    pub fn start(
        line: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        history: &[u8],
    ) -> Self {
        let shared = Arc::new(Shared::default());
        shared.state().scrollback.push(history);
        let (typed, typed_from) = mpsc::channel(WAITING_PIECES);
        let dropped = CancellationToken::new();
        let task = carry(line, shared.clone(), typed_from);
        let (on_drop, deserted) = (dropped.clone(), shared.deserted.clone());
        let (over, at_end) = (shared.over.clone(), shared.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                () = on_drop.cancelled() => {}
                () = deserted.cancelled() => {}
            }
            // The line is gone: the losing branches were dropped with it.
            let mut state = at_end.state();
            state.ended = true;
            state.wake_all();
            drop(state);
            over.cancel();
        });
        Self { inner: Arc::new(Inner { shared, typed, _task: dropped.drop_guard() }) }
    }

    /// Joins those who look at the line. `None` where it has ended, or is being let go of since the last
    /// viewer has left.
    ///
    /// What is shown begins with the last [`HISTORY`] bytes that the line wrote.
    pub fn join(&self, who: &str, role: Role) -> Option<Joined> {
        let who: Arc<str> = who.into();
        let shared = &self.inner.shared;
        let mut state = shared.state();
        if state.ended || shared.deserted.is_cancelled() {
            return None;
        }
        let (number, turned) = state.floor.enter(who.clone(), role);
        state.note(turned.lost, &format!("{who} took the keyboard; you see only"));
        let may_type = state.floor.may_type(number);
        let typist = if may_type { None } else { state.floor.typist() };
        let position = state.scrollback.place_of_last(HISTORY);
        drop(state);
        let viewer = Viewer::new(self.inner.clone(), number, position);
        Some(Joined { viewer, may_type, typist })
    }

    /// How many look at the line.
    pub fn viewers(&self) -> usize {
        self.inner.shared.state().floor.len()
    }

    /// Whether the line has been let go of.
    pub fn is_over(&self) -> bool {
        self.inner.shared.over.is_cancelled()
    }

    /// Waits until the line has been let go of.
    pub async fn over(&self) {
        self.inner.shared.over.cancelled().await;
    }
}

/// Carries bytes both ways until the line ends.
async fn carry(
    line: impl AsyncRead + AsyncWrite + Send + Unpin,
    shared: Arc<Shared>,
    mut typed: mpsc::Receiver<Bytes>,
) {
    let (mut from_line, mut to_line) = split(line);
    let output = async {
        let mut piece = vec![0; PIECE];
        let mut same_until = Some(Instant::now() + SAME_WITHIN);
        let mut since_pause = 0;
        let mut pace = Pace { due: Instant::now(), is_gathering: false };
        loop {
            let length = tokio::select! {
                biased;
                read = from_line.read(&mut piece) => read?,
                () = sleep_until(pace.due), if pace.is_gathering => {
                    shared.state().wake_all();
                    pace.woken(Instant::now());
                    continue;
                }
                () = sleep_until(same_until.unwrap_or(pace.due)), if same_until.is_some() => {
                    same_until = None;
                    continue;
                }
            };
            if length == 0 {
                return Ok::<_, io::Error>(());
            }
            let may_be_the_same = same_until.take().is_some();
            let outran = shared.push(&piece[..length], may_be_the_same, &mut pace);
            since_pause += length;
            if outran && since_pause >= PAUSE_AFTER {
                since_pause = 0;
                // Viewers have no say in when the line is read: this gives those time that can use it.
                sleep(PAUSE).await;
            }
        }
    };
    let input = async {
        while let Some(bytes) = typed.recv().await {
            shared.state().typed = Some(Instant::now());
            to_line.write_all(&bytes).await?;
            to_line.flush().await?;
        }
        Ok::<_, io::Error>(())
    };
    let input = async {
        if let Err(error) = input.await {
            debug!(%error, "a serial line takes no more input");
        }
        // What takes nothing any more may still have something to say.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        ended = output => debug!(?ended, "a serial line ended"),
        () = input => {}
    }
}
