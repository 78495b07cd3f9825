//! The audit: what callers had done and what they were refused, a line of JSON each, in files of its own.
//!
//! ```text
//!   record ──▶ queue ──▶ one thread ──▶ audit-N.jsonl ──▶ (full: the next; the oldest go)
//!   never      bounded   in batches     only appended to     read a page at a time
//!   waits
//! ```
//!
//! Whoever records never waits, and is never refused: what cannot be written, because the disk is full,
//! fails or hangs, is lost and counted. The log says so once, the diagnosis as long as it is so, and when
//! writing is possible again the first line written says how many are missing. A line that a kill cut short
//! is left as it is, and whatever follows begins on a line of its own; readers skip and count it.
//!
//! The same refusals of the same caller, over and over, would push everything else out of files that are
//! bounded: of those that a gate gives, the first few of a minute have a line each, and one more line counts
//! the rest.
//!
//! What a crash of the daemon takes is what came in the last moment (the time of gathering); what a crash of the
//! host takes is a second more. What is recorded, and where, is for those who have callers to say.

mod batch;
mod log;
mod place;
mod queue;
mod read;
mod repeats;
#[cfg(test)]
mod tests;
mod writer;

pub use log::{AuditLog, AuditOptions};
pub use place::Place;
pub use read::{AuditPage, AuditQuery, before_last, read};
