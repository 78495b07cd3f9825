//! What a simulated guest has in its memory: enough to tell whether it came back.

use crate::randomness::draw;
use innkeeper_model::IncarnationId;
use serde::{Deserialize, Serialize};

/// The longest note that a guest remembers, in bytes.
const LONGEST_NOTE: usize = 4096;

/// A guest's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The launch that it began with.
    pub(crate) born: IncarnationId,
    /// How often the guest has booted.
    pub(crate) boots: u32,
    /// What somebody told it to remember.
    pub(crate) note: Box<str>,
    /// The guest does nothing any more.
    pub(crate) hung: bool,
}

impl Memory {
    /// The memory of a machine whose guest has not begun.
    pub(crate) fn blank(born: IncarnationId) -> Self {
        Self { born, boots: 0, note: "".into(), hung: false }
    }

    /// What is in it after the guest has booted (again).
    pub(crate) fn boot(&mut self) {
        *self = Self { boots: self.boots + 1, ..Self::blank(self.born) };
    }

    pub(crate) fn remember(&mut self, note: &str) {
        let end = note.floor_char_boundary(LONGEST_NOTE);
        self.note = note[..end].into();
    }

    /// A number that stands for the contents.
    pub(crate) fn digest(&self) -> u64 {
        draw(
            0,
            &[
                self.born.as_uuid().as_bytes(),
                &self.boots.to_le_bytes(),
                self.note.as_bytes(),
                &[u8::from(self.hung)],
            ],
        )
    }
}
