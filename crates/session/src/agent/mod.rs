//! The agent in a guest: qemu-guest-agent, over a channel that the hypervisor gives.
//!
//! Whatever comes from there was made by a guest. It may be late, of an earlier call, out of order, no
//! JSON, or without an end; or nothing comes at all. So one call is made at a time, each has a deadline
//! that includes its turn, what is read is bounded, and after anything that did not end well both sides
//! find their common place anew, by a mark that no reply has in it. Nobody reads in between: what a guest
//! then sends waits in the guest.

mod calls;
mod error;
mod exec;
mod files;
mod freeze;
mod wire;

pub use calls::{Address, GuestInfo, Interface, OsInfo};
pub use error::AgentError;
pub use exec::{Exec, Exited, MAX_STDIN};
pub use files::{FilePurpose, GuestFile, PIECE};
pub use freeze::{Held, Thawed};

use innkeeper_model::Refusal;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Mutex, watch},
    time::{Instant, timeout_at},
};
use wire::{Connection, MAX_LINE, SHORT_LINE};

/// How long an agent may take to answer what it answers at once; it takes some milliseconds.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// For how long both sides are taken to be in step without asking.
const IN_STEP_FOR: Duration = Duration::from_secs(1);

/// What sets a guest's clock, in the agent's words.
const SET_TIME: &str = "guest-set-time";

/// A stream of bytes to an agent.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A channel that is being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, Refusal>> + Send + 'a>>;

/// Where the channel to an agent comes from.
pub trait Channel: Send + Sync + 'static {
    /// Opens it. There may be one open at a time; it is closed by dropping it.
    fn open(&self) -> Opening<'_>;
}

/// The agent in one guest. Clones share the connection and take turns.
#[derive(Clone)]
pub struct Agent {
    shared: Arc<Shared>,
}

struct Shared {
    channel: Box<dyn Channel>,
    connection: Mutex<Option<Connection>>,
    next_id: AtomicU64,
    answers_within: Duration,
    /// Held by who has the guest's file systems held still.
    freeze: Arc<Mutex<()>>,
    /// Told when they were let go on.
    thawed: watch::Sender<()>,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agent")
    }
}

impl Agent {
    /// An agent behind this channel. Nothing is opened until something is asked of it.
    pub fn new(channel: impl Channel) -> Self {
        Self::that_answers_within(ANSWERS_WITHIN, channel)
    }

    fn that_answers_within(answers_within: Duration, channel: impl Channel) -> Self {
        // Not from the beginning: an agent may remember what an earlier daemon asked it.
        let mut random = [0; 4];
        let _ = getrandom::fill(&mut random);
        let next_id = AtomicU64::new(u64::from(u32::from_ne_bytes(random)) << 20);
        let (channel, connection) = (Box::new(channel), Mutex::default());
        let (freeze, thawed) = (Arc::default(), watch::Sender::default());
        let shared = Shared { channel, connection, next_id, answers_within, freeze, thawed };
        Self { shared: Arc::new(shared) }
    }

    /// Whether nobody else has it.
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    /// Makes a call whose answer is short, and is given at once.
    async fn ask<T: DeserializeOwned>(
        &self,
        command: &'static str,
        arguments: Value,
    ) -> Result<T, AgentError> {
        self.call(command, arguments, self.shared.answers_within, SHORT_LINE).await
    }

    /// The same with an answer that may have a file's or a program's output in it.
    async fn ask_much<T: DeserializeOwned>(
        &self,
        command: &'static str,
        arguments: Value,
    ) -> Result<T, AgentError> {
        self.call(command, arguments, self.shared.answers_within, MAX_LINE).await
    }

    /// Makes a call. Dropping the future leaves its reply, if it comes, to be thrown away.
    async fn call<T: DeserializeOwned>(
        &self,
        command: &'static str,
        arguments: Value,
        within: Duration,
        limit: usize,
    ) -> Result<T, AgentError> {
        let deadline = Instant::now() + within;
        let silent = |_| AgentError::Silent { command, within };
        let mut connection =
            timeout_at(deadline, self.shared.connection.lock()).await.map_err(silent)?;
        let called = timeout_at(deadline, async {
            let connection = self.in_step(&mut connection).await?;
            let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
            connection.call(command, &arguments, id, limit).await
        });
        let answer = match called.await {
            Ok(Err(error @ AgentError::Broken(_))) => {
                *connection = None;
                return Err(error);
            }
            called => called.map_err(silent)??,
        };
        drop(connection);
        serde_json::from_str(answer.get())
            .map_err(|source| AgentError::Incomprehensible { command, source })
    }

    /// A connection both sides of which are in step.
    async fn in_step<'a>(
        &self,
        slot: &'a mut Option<Connection>,
    ) -> Result<&'a mut Connection, AgentError> {
        // One from before may be of a machine that is gone.
        if let Some(connection) = &mut *slot
            && !connection.is_in_step(IN_STEP_FOR)
            && matches!(self.synchronise(connection).await, Err(AgentError::Broken(_)))
        {
            *slot = None;
        }
        if slot.is_none() {
            let stream = self.shared.channel.open().await.map_err(AgentError::NoChannel)?;
            let connection = slot.insert(Connection::new(stream));
            self.synchronise(connection).await?;
        }
        slot.as_mut().ok_or(AgentError::Broken(std::io::ErrorKind::NotConnected.into()))
    }

    async fn synchronise(&self, connection: &mut Connection) -> Result<(), AgentError> {
        connection.synchronise(self.shared.next_id.fetch_add(1, Ordering::Relaxed)).await
    }
}

#[cfg(test)]
mod tests;
