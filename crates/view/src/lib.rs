//! The view: everything that Innkeeper knows, in memory, for anyone to read at once.
//!
//! One writer applies what the engine and the drivers post ([`Update`]): wishes, facts and deeds.
//! Readers take an immutable [`Snapshot`] and never wait. Each change becomes an [`Entry`] of the
//! feed, which a [`Subscription`] follows; and a [`View::barrier`] says when a write can be read.
//!
//! ```text
//!   engine, drivers ──post──▶ inbox ──▶ writer ──▶ Published { snapshot, ring } ◀── readers
//!                    ◀─────── barrier: revision ──────┘                └──pulse──▶ subscriptions
//! ```
//!
//! Four things hold always:
//!
//! - *A change is a revision.* Each change raises the view's revision by one, and its position in
//!   the feed has that number as its sequence: whoever is told a revision may resume the feed there.
//! - *Snapshot and feed are one pointer.* Nobody sees a record whose change is not in the feed, nor
//!   the reverse.
//! - *The feed has no holes it does not admit.* A reader too far behind, or with a position of
//!   another epoch, is told so and given a snapshot to go on from.
//! - *Nobody holds up the writer.* Its inbox has no bound, it sends to nothing that could be full,
//!   and a reader is no more to it than a cursor.
//!
//! Not here: statistics, progress and ages, which change all the time and would drown what matters;
//! and any wire format. A door encodes records and batches itself, once each, and keeps the bytes
//! beside them in its [`EncodingSlot`].

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod batch;
mod diff;
mod entry;
mod lookup;
mod pace;
mod readers;
mod record;
mod ring;
mod snapshot;
mod state;
mod subscription;
#[cfg(test)]
mod test_data;
mod uids;
mod update;
mod view;
mod writer;

pub use batch::Batch;
pub use diff::diff;
pub use entry::{Entry, Subject, Transition};
pub use lookup::{Lookup, MAX_CANDIDATES, SubnetOf};
pub use readers::ReaderFigures;
pub use record::{EncodingSlot, Record};
pub use snapshot::Snapshot;
pub use subscription::{Delivery, Subscription};
pub use update::Update;
pub use view::{Figures, View, ViewOptions, ViewStopped};
