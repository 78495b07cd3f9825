//! How far something long has come.

use innkeeper_model::ByteSize;
use std::sync::Arc;

/// What a long operation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Bytes are coming in over the network.
    Downloading,
    /// Bytes are copied on this host.
    Copying,
    /// An image is rewritten in its stored form.
    Converting,
    /// The digest of the result is taken.
    Digesting,
}

/// How far it has come in its present phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// The bytes that are done.
    pub done: ByteSize,
    /// Of how many, where that is known.
    pub total: Option<ByteSize>,
}

/// Told of progress, often and from any thread; must return at once.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// Reports one phase of one operation.
#[derive(Clone)]
pub(crate) struct Reporter {
    on_progress: OnProgress,
    phase: Phase,
    before: u64,
    total: Option<u64>,
}

impl Reporter {
    pub(crate) fn new(on_progress: &OnProgress, phase: Phase, total: Option<u64>) -> Self {
        Self { on_progress: Arc::clone(on_progress), phase, before: 0, total }
    }

    /// The same for the next part of a whole, after parts of so many bytes.
    pub(crate) fn after(&self, bytes: u64) -> Self {
        Self { before: bytes, ..self.clone() }
    }

    pub(crate) fn done(&self, bytes: u64) {
        (self.on_progress)(Progress {
            phase: self.phase,
            done: ByteSize(self.before + bytes),
            total: self.total.map(ByteSize),
        });
    }
}
