//! Why the journal did not do something, and what it found damaged.

use innkeeper_model::{Code, Refusal};
use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf, sync::Arc};

/// Why the journal was not opened, or a record not written.
///
/// An append that failed has no effect once another has succeeded. Until then a crash may leave it
/// either way, as a disk that fails does not say how far it came.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalFailed {
    /// The folder cannot be made, or what is in it cannot be listed.
    #[error("cannot use the journal's folder, {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// A newer version of Innkeeper wrote the journal. Nothing was touched.
    #[error(
        "{} is a journal of format {found}, and this version of Innkeeper knows {known}",
        file.display()
    )]
    TooNew {
        /// The first file of the newer format.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this binary reads.
        known: u32,
    },
    /// The room that was set aside is used up, and the disk has no more.
    #[error("the journal is full, and so is the disk")]
    Full {
        /// What the disk said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The disk refuses to write.
    #[error("cannot write to the journal")]
    Io {
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// The record is larger than a segment.
    #[error("a record of {size} bytes is too large for the journal, which takes {limit}")]
    TooLarge {
        /// How large its payload is, in bytes.
        size: usize,
        /// How large one may be, in bytes.
        limit: u64,
    },
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

impl JournalFailed {
    /// What a failure of the disk while writing is called.
    pub(super) fn writing(source: &Arc<io::Error>) -> Self {
        let source = Arc::clone(source);
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { source },
            _ => Self::Io { source },
        }
    }
}

impl From<JournalFailed> for Refusal {
    fn from(failed: JournalFailed) -> Self {
        let message = failed.to_string();
        match &failed {
            JournalFailed::Folder { source, .. } | JournalFailed::Io { source } => {
                // What kind of failure it is, and what to do, is the disk's to say.
                let same = source.raw_os_error().map(io::Error::from_raw_os_error);
                let by_disk = Self::from(same.unwrap_or_else(|| source.kind().into()));
                Self { message, causes: Vec::new(), ..by_disk }.caused_by(&failed)
            }
            JournalFailed::TooNew { .. } => Self::new(Code::Unsupported, message)
                .with_hint("use the version of Innkeeper that wrote it, or a newer one"),
            JournalFailed::Full { .. } => Self::new(Code::OutOfSpace, message)
                .with_hint("free some space, then try again")
                .caused_by(&failed),
            JournalFailed::TooLarge { limit, .. } => {
                Self::new(Code::TooLarge, message).with_limit(format!("{limit} bytes"))
            }
            JournalFailed::Closed => Self::new(Code::ShuttingDown, message),
        }
    }
}

/// What is wrong with a part of a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DamageReason {
    /// A record is not what was written; what it was about is known.
    #[error("a record's checksum does not match")]
    Record,
    /// There are no readable records where some were written.
    #[error("records cannot be read")]
    Unreadable,
    /// The start of a segment is not what was written. Its records count if they are whole.
    #[error("the start of a segment cannot be read")]
    SegmentStart,
    /// A segment is not there, though newer and older ones are.
    #[error("a segment is missing")]
    Missing,
    /// The host cannot read the file, or parts of it; what it said.
    #[error("the host cannot read the file: {0}")]
    Io(String),
    /// What an earlier opening told of the segment cannot be read any more; why not.
    #[error("what was told of it cannot be read: {0}")]
    Report(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_reaches_a_caller_as_what_it_is() {
        let full = Arc::new(io::Error::from(rustix::io::Errno::NOSPC));
        let failed = JournalFailed::writing(&full);
        assert_eq!(Refusal::from(failed).code, Code::OutOfSpace);
        let broken = Arc::new(io::Error::from(rustix::io::Errno::IO));
        let refusal = Refusal::from(JournalFailed::writing(&broken));
        assert_eq!(refusal.code, Code::DiskFailed);
        assert!(refusal.causes.iter().any(|cause| cause.contains("os error 5")), "{refusal:?}");
        let refusal = Refusal::from(JournalFailed::TooLarge { size: 9, limit: 8 });
        assert_eq!(refusal.limit.as_deref(), Some("8 bytes"));
        let newer = JournalFailed::TooNew { file: "/j/1".into(), found: 9, known: 1 };
        assert!(newer.to_string().contains("format 9") && newer.to_string().contains("knows 1"));
    }
}
