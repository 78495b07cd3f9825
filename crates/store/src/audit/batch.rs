//! Lines that are written at once, and how much of them was.

use innkeeper_model::AuditEntry;

/// Lines, encoded.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where each line ends, its line feed included.
    ends: Vec<usize>,
}

impl Batch {
    pub(super) fn of(entries: &[AuditEntry]) -> Self {
        let mut batch = Self::default();
        for entry in entries {
            serde_json::to_writer(&mut batch.bytes, entry)
                .expect("a line has text keys only, and memory takes all of it");
            batch.bytes.push(b'\n');
            batch.ends.push(batch.bytes.len());
        }
        batch
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The lines from `begin` on that fit into so many bytes; at least one.
    pub(super) fn fitting(&self, begin: usize, room: u64) -> &[u8] {
        let next = self.lines_within(begin);
        let fits = |end: &usize| (*end - begin) as u64 <= room;
        let last = self.ends[next..].iter().take_while(|end| fits(end)).last();
        let end = last.or(self.ends.get(next)).copied().unwrap_or(begin);
        &self.bytes[begin..end]
    }

    /// How many whole lines there are in so many of the first bytes.
    pub(super) fn lines_within(&self, bytes: usize) -> usize {
        self.ends.partition_point(|end| *end <= bytes)
    }

    /// Whether a line has begun in so many of the first bytes and not ended.
    pub(super) fn is_within_a_line(&self, bytes: usize) -> bool {
        bytes > 0 && self.ends.binary_search(&bytes).is_err()
    }
}
