//! Files in a guest, piece by piece.

use super::{Agent, AgentError, calls::Nothing, exec::decoded};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Handle;
use tracing::debug;

/// How much is read or written at once, in bytes.
pub const PIECE: usize = 512 << 10;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePurpose {
    /// To read it.
    Read,
    /// To write it anew: what it held is gone at once.
    Write,
}

/// An open file in a guest. One that is dropped is closed by and by.
#[derive(Debug)]
pub struct GuestFile {
    agent: Agent,
    handle: i64,
    is_open: bool,
}

#[derive(Deserialize)]
struct Piece {
    #[serde(rename = "buf-b64", default, deserialize_with = "decoded")]
    bytes: Vec<u8>,
    #[serde(default)]
    eof: bool,
}

#[derive(Deserialize)]
struct Written {
    count: usize,
}

impl Agent {
    /// Opens a file in the guest.
    ///
    /// # Errors
    /// The guest refuses, or the agent is gone.
    pub async fn open(&self, path: &str, purpose: FilePurpose) -> Result<GuestFile, AgentError> {
        let mode = match purpose {
            FilePurpose::Read => "rb",
            FilePurpose::Write => "wb",
        };
        let handle = self.ask("guest-file-open", json!({ "path": path, "mode": mode })).await?;
        Ok(GuestFile { agent: self.clone(), handle, is_open: true })
    }
}

impl GuestFile {
    /// Reads the next piece, at most [`PIECE`] bytes of it; nothing at the end.
    ///
    /// # Errors
    /// The guest refuses, or the agent is gone or lies.
    pub async fn read(&mut self) -> Result<Vec<u8>, AgentError> {
        const COMMAND: &str = "guest-file-read";
        loop {
            let arguments = json!({ "handle": self.handle, "count": PIECE });
            let Piece { bytes, eof } = self.agent.ask_much(COMMAND, arguments).await?;
            if bytes.len() > PIECE {
                return Err(AgentError::TooMuch { command: COMMAND, limit: PIECE });
            }
            if eof || !bytes.is_empty() {
                return Ok(bytes);
            }
        }
    }

    /// Writes all of this, in pieces.
    ///
    /// # Errors
    /// The guest refuses, or the agent is gone or lies; some of it may have been written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        const COMMAND: &str = "guest-file-write";
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(PIECE)];
            let arguments = json!({ "handle": self.handle, "buf-b64": BASE64.encode(piece) });
            let Written { count } = self.agent.ask(COMMAND, arguments).await?;
            if count == 0 || count > piece.len() {
                let description = format!("{count} of {} bytes were written", piece.len());
                return Err(AgentError::Refused { command: COMMAND, unknown: false, description });
            }
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Closes it; what was written has then reached the guest's system.
    ///
    /// # Errors
    /// The guest refuses, or the agent is gone.
    pub async fn close(mut self) -> Result<(), AgentError> {
        self.is_open = false;
        close(&self.agent, self.handle).await
    }
}

async fn close(agent: &Agent, handle: i64) -> Result<(), AgentError> {
    // An agent that keeps what was written to itself writes it out at a flush.
    let flushed = agent.ask::<Nothing>("guest-file-flush", json!({ "handle": handle })).await;
    let closed = agent.ask::<Nothing>("guest-file-close", json!({ "handle": handle })).await;
    flushed.and(closed).map(drop)
}

impl Drop for GuestFile {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let (agent, handle) = (self.agent.clone(), self.handle);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = close(&agent, handle).await {
                    debug!(%error, "a file stays open in a guest");
                }
            });
        }
    }
}
