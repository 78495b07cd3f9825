//! An answer that comes line by line and may never end.

use super::broken;
use crate::failure::{Exit, Failure};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The longest line, in bytes: a snapshot of a host with more VMs than one host has.
const MAX_LINE: usize = 256 << 20;

/// The lines of an answer.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// How much of the buffer is known to have no line feed in it.
    searched: usize,
}

impl Lines {
    pub(crate) fn of(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0 }
    }

    /// The next line that is not blank (those only keep the connection alive), without its line
    /// feed; `None` at the end. Nothing is lost if this is dropped before it is done.
    ///
    /// # Errors
    /// The connection broke, or a line does not end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            while let Some(line) = self.buffered_line() {
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Failure::new(Exit::Failed, "the daemon sends a line without an end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(broken(&error)),
                None => return Ok(None),
            }
        }
    }

    fn buffered_line(&mut self) -> Option<Bytes> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(offset) = found else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + offset + 1).freeze();
        self.searched = 0;
        Some(line.slice(..line.len() - 1))
    }
}
