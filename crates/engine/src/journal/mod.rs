//! What is written down of deeds, and in which order. The bytes are `store`'s.
//!
//! An operation's first record holds its whole plan, and is on the disk before its first step is done.
//! Marks of its steps follow; they outlive the daemon, and after a crash of the host, where some may
//! be lost, they only say too little, which steps that can be asked or repeated forgive. The record of
//! its end, and in front of it a note of what the VM is by then (`notes`), is on the disk before anybody
//! is told of the end. Wishes go the same way, so that a spec's file may be written later (see `wishes`).

pub(crate) mod history;
pub(crate) mod notes;
mod renewing;
pub(crate) mod unfinished;
pub(crate) mod unreadable;
pub(crate) mod wishes;

use crate::{
    accept::legality::Operation,
    journal::notes::Note,
    plan::Plan,
    turn::queues::{Hold, Resource},
};
use innkeeper_model::{Refusal, Spec, Task, TaskId, VmId};
use innkeeper_store::journal::{Durability, Held, Journal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// The version of the shape of what is written here.
pub(crate) const SCHEMA: u32 = 1;

/// How far a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mark {
    /// Not begun, as far as was written down.
    #[default]
    Waiting,
    /// Begun; written down of steps that must not be repeated.
    Begun,
    /// Done.
    Done,
    /// Taken back.
    Undone,
}

/// Which way a plan is being gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// Forward, and back if it fails.
    #[default]
    Forward,
    /// Forward, with no way back.
    OnlyForward,
    /// Back.
    Back,
}

/// An operation that was begun, as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) schema: u32,
    pub(crate) task: Task,
    /// What it does to its VM, where legality asks.
    pub(crate) operation: Option<Operation>,
    pub(crate) resources: Vec<(Resource, Hold)>,
    pub(crate) plan: Arc<Plan>,
    /// The host's boot that its machine belongs to.
    pub(crate) boot_id: String,
    #[serde(default)]
    pub(crate) way: Way,
    /// One a step.
    #[serde(default)]
    pub(crate) marks: Vec<Mark>,
    /// Its end has been told; what is left of it is owed.
    #[serde(default)]
    pub(crate) owed: bool,
}

/// One record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// A task was accepted, and waits for its turn.
    Accepted { task: Box<Task> },
    /// An operation begins, or is written down anew so that old records can go.
    Begun(Box<Begun>),
    /// A step of it is this far.
    Step { task: TaskId, step: usize, mark: Mark },
    /// It goes another way.
    Way { task: TaskId, way: Way },
    /// Its end has been told, and something of it is owed.
    Owed { task: Box<Task> },
    /// It has ended, and nothing of it is left to do.
    Ended { task: Box<Task> },
    /// A VM's wish.
    Wish { number: u64, spec: Arc<Spec> },
    /// A VM has none any more.
    NoWish { number: u64, vm: VmId },
    /// The wishes of these numbers are in their files.
    Kept { wishes: Vec<(VmId, u64)> },
    /// What is known of a VM; earlier notes of it are past.
    Noted { note: Arc<Note> },
}

impl Entry {
    fn about(&self) -> Option<VmId> {
        match self {
            Self::Begun(begun) => begun.task.vm,
            Self::Accepted { task } | Self::Owed { task } | Self::Ended { task } => task.vm,
            Self::Wish { spec, .. } => Some(spec.id),
            Self::NoWish { vm, .. } => Some(*vm),
            // A note that is damaged is no reason to leave its VM alone.
            Self::Noted { .. } => None,
            Self::Step { .. } | Self::Way { .. } | Self::Kept { .. } => None,
        }
    }
}

/// Writes entries down.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    journal: Journal,
}

impl Recorder {
    pub(crate) const fn new(journal: Journal) -> Self {
        Self { journal }
    }

    pub(crate) const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Writes an entry down. `vm` is whom it is about where the entry does not say; should the record
    /// be found damaged, that VM is left alone.
    ///
    /// # Errors
    /// The disk is full or does not take it. Its place is taken by the call; dropping the future leaves
    /// it written or not.
    pub(crate) fn write(
        &self,
        vm: Option<VmId>,
        entry: &Entry,
        durability: Durability,
    ) -> impl Future<Output = Result<Held, Refusal>> + Send + use<> {
        self.write_encoded(vm.or_else(|| entry.about()), Self::encoded(entry), durability)
    }

    /// The same with an entry that has been encoded, about this VM or nobody.
    pub(crate) fn write_encoded(
        &self,
        about: Option<VmId>,
        entry: Vec<u8>,
        durability: Durability,
    ) -> impl Future<Output = Result<Held, Refusal>> + Send + use<> {
        let about = about.map_or(Uuid::nil(), |vm| vm.as_uuid());
        let appended = self.journal.append(about, entry, durability);
        async move { Ok(appended.await?) }
    }

    /// The bytes of an entry.
    pub(crate) fn encoded(entry: &Entry) -> Vec<u8> {
        serde_json::to_vec(entry)
            .expect("an entry is plain data with text keys, which JSON can hold")
    }
}

#[cfg(test)]
mod golden_tests;
