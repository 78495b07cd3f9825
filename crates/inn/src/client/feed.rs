//! The daemon's feed, followed across broken connections.
//!
//! A reader that was cut off comes back with the position of the last line it saw. What it missed it
//! is sent then, or a `gap` line with a snapshot, so that it knows either way.

use super::{Call, Client, Lines, Target};
use crate::{
    failure::{Exit, Failure},
    output::Output,
};
use bytes::Bytes;
use innkeeper_model::{Change, Task};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::sleep;

/// How long to wait before the first attempt to come back, and at most.
const BACK_AFTER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// One line of the feed, understood.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FeedLine {
    /// Changes follow.
    Ready {
        /// From where on.
        position: String,
    },
    /// Something changed.
    Change(Box<Change>),
    /// Changes are missing here. How things are after them stands here too, for those who keep all
    /// of it; our readers ask for the little that they need.
    Gap {
        /// From where on it goes on without holes.
        position: String,
    },
    /// A task, in the feed of that task.
    Task {
        /// All of it.
        task: Box<Task>,
    },
    /// Something that a newer daemon says.
    #[serde(other)]
    Unknown,
}

/// One line of the feed.
#[derive(Debug)]
pub(crate) struct Notice {
    /// As the daemon wrote it.
    pub(crate) text: Bytes,
    /// What it says.
    pub(crate) line: FeedLine,
}

/// The feed, from some position on.
pub(crate) struct Feed<'a> {
    client: &'a Client,
    output: &'a Output,
    /// Where it is, with what it is asked to leave out.
    target: Target,
    position: Option<String>,
    lines: Option<Lines>,
    was_connected: bool,
    tell: Option<&'a dyn Fn(&str)>,
}

impl<'a> Feed<'a> {
    /// The feed after this position, or from now on; the connection is made by the first
    /// [`Self::next`]. Tells `output` when it is lost and found.
    pub(crate) fn new(
        client: &'a Client,
        output: &'a Output,
        target: Target,
        position: Option<String>,
    ) -> Self {
        Self { client, output, target, position, lines: None, was_connected: false, tell: None }
    }

    /// The same feed, which tells this when it is lost and found, in place of the output.
    pub(crate) fn telling(mut self, tell: &'a dyn Fn(&str)) -> Self {
        self.tell = Some(tell);
        self
    }

    fn say(&self, text: &str) {
        match self.tell {
            Some(tell) => tell(text),
            None => self.output.talk(text),
        }
    }

    /// The next line. Can be dropped and called again.
    ///
    /// # Errors
    /// The daemon refuses, or was not there in the first place. Once connected, a daemon that is
    /// gone is waited for.
    pub(crate) async fn next(&mut self) -> Result<Notice, Failure> {
        loop {
            if self.lines.is_none() {
                self.lines = Some(self.connect().await?);
                self.was_connected = true;
            }
            let line = match &mut self.lines {
                Some(lines) => lines.next().await,
                None => continue,
            };
            match line {
                Ok(Some(text)) => return Ok(self.read(text)),
                Ok(None) | Err(_) => self.lines = None,
            }
        }
    }

    fn read(&mut self, text: Bytes) -> Notice {
        let line = serde_json::from_slice(&text).unwrap_or(FeedLine::Unknown);
        match &line {
            FeedLine::Ready { position } | FeedLine::Gap { position } => {
                self.position = Some(position.clone());
            }
            FeedLine::Change(change) => self.position = Some(change.position.to_string()),
            // A task comes whole each time, so there is nothing to come back to.
            FeedLine::Task { .. } | FeedLine::Unknown => {}
        }
        Notice { text, line }
    }

    async fn connect(&self) -> Result<Lines, Failure> {
        if !self.was_connected {
            return self.attempt().await;
        }
        self.say("the daemon is gone; waiting for it to come back");
        let (mut pause, longest) = BACK_AFTER;
        loop {
            sleep(pause).await;
            match self.attempt().await {
                Err(failure) if matches!(failure.exit, Exit::Unreachable | Exit::Timeout) => {
                    pause = (pause * 2).min(longest);
                }
                found => {
                    self.say("the daemon is back");
                    return found;
                }
            }
        }
    }

    async fn attempt(&self) -> Result<Lines, Failure> {
        let target = self.target.clone().with_any("since", self.position.as_deref());
        let ndjson = http::HeaderValue::from_static("application/x-ndjson");
        let call = Call::get(target).with_header(http::header::ACCEPT, ndjson);
        Ok(Lines::of(self.client.open(call).await?.into_body()))
    }
}
