//! One connection to an agent: lines of JSON, read within bounds.

use super::{AgentError, Stream};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use tracing::debug;

/// The longest reply that is read, in bytes.
pub(super) const MAX_LINE: usize = 16 << 20;
/// The longest reply to a call that has a short one, in bytes.
pub(super) const SHORT_LINE: usize = 1 << 20;
/// The longest reply to a call for a common place, in bytes.
const SYNC_LINE: usize = 4 << 10;
/// What is read at once, in bytes.
const PIECE: usize = 64 << 10;
/// The byte that is in no JSON: an agent that reads it forgets what it has read, and one that was asked
/// to sends it before its reply.
const MARK: u8 = 0xff;
/// How much of an agent's own words is shown.
const MAX_WORDS: usize = 500;

/// A connection. Whatever ends a call early leaves it out of step.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// What was read and is of no line yet.
    read: Vec<u8>,
    /// When both sides were last in step; `None` while they are not.
    in_step: Option<Instant>,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(rename = "return", borrow)]
    returned: Option<&'a RawValue>,
    error: Option<Refused>,
    id: Option<Value>,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    class: String,
    #[serde(default)]
    desc: String,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, read: Vec::new(), in_step: None }
    }

    pub(super) fn is_in_step(&self, for_at_most: Duration) -> bool {
        self.in_step.is_some_and(|since| since.elapsed() <= for_at_most)
    }

    /// Finds a common place: whatever was on its way before is thrown away.
    pub(super) async fn synchronise(&mut self, id: u64) -> Result<(), AgentError> {
        const COMMAND: &str = "guest-sync-delimited";
        self.in_step = None;
        let line = json!({ "execute": COMMAND, "arguments": { "id": id } });
        let mut bytes = vec![MARK];
        bytes.extend(format!("{line}\n").into_bytes());
        self.write(&bytes).await?;
        loop {
            self.discard_to_mark().await?;
            // Of another mark than ours, what follows is somebody else's reply.
            let line = match self.read_line(COMMAND, SYNC_LINE).await {
                Ok(line) => line,
                Err(AgentError::TooMuch { .. }) => continue,
                Err(error) => return Err(error),
            };
            let reply: Option<Reply<'_>> = serde_json::from_slice(&line).ok();
            let returned = reply.and_then(|reply| reply.returned);
            if returned.is_some_and(|returned| returned.get() == id.to_string()) {
                self.in_step = Some(Instant::now());
                return Ok(());
            }
        }
    }

    /// Asks, and returns what the reply has in `return`.
    pub(super) async fn call(
        &mut self,
        command: &'static str,
        arguments: &Value,
        id: u64,
        limit: usize,
    ) -> Result<Box<RawValue>, AgentError> {
        // Whoever stops waiting leaves a reply on its way.
        self.in_step = None;
        let line = json!({ "execute": command, "arguments": arguments, "id": id });
        self.write(format!("{line}\n").as_bytes()).await?;
        loop {
            let line = self.read_line(command, limit).await?;
            let reply: Reply<'_> = serde_json::from_slice(&line)
                .map_err(|source| AgentError::Incomprehensible { command, source })?;
            // Agents of long ago do not repeat it; then only the order tells.
            if reply.id.as_ref().is_some_and(|of| of.as_u64() != Some(id)) {
                debug!(command, "a reply to an earlier call");
                continue;
            }
            if let Some(Refused { class, desc }) = reply.error {
                self.in_step = Some(Instant::now());
                let description = desc.chars().take(MAX_WORDS).collect();
                let unknown = class == "CommandNotFound";
                return Err(AgentError::Refused { command, unknown, description });
            }
            if let Some(returned) = reply.returned {
                self.in_step = Some(Instant::now());
                return Ok(returned.to_owned());
            }
        }
    }

    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.read.capacity()
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        self.stream.write_all(bytes).await.map_err(AgentError::Broken)?;
        self.stream.flush().await.map_err(AgentError::Broken)
    }

    /// Reads up to the next mark and keeps nothing of it.
    async fn discard_to_mark(&mut self) -> Result<(), AgentError> {
        loop {
            if let Some(at) = self.read.iter().position(|byte| *byte == MARK) {
                self.read.drain(..=at);
                return Ok(());
            }
            self.read.clear();
            self.read_more().await?;
        }
    }

    /// Reads a line, if it is no longer than this.
    async fn read_line(
        &mut self,
        command: &'static str,
        limit: usize,
    ) -> Result<Vec<u8>, AgentError> {
        let mut looked_at = 0;
        loop {
            if let Some(at) = self.read[looked_at..].iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(looked_at + at + 1);
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            looked_at = self.read.len();
            if looked_at > limit {
                self.read = Vec::new();
                return Err(AgentError::TooMuch { command, limit });
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<(), AgentError> {
        self.read.reserve(PIECE);
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) => Err(AgentError::Broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(AgentError::Broken(error)),
        }
    }
}
