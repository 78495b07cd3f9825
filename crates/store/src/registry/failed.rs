//! Why something was not registered.

use super::{
    key::Key,
    record::{Damage, MAX_RECORD},
    transaction::Condition,
};
use innkeeper_model::{Code, HostId, Refusal};
use std::{path::PathBuf, sync::Arc};

/// Why the store of the registry does not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryFailed {
    /// The file cannot be opened, or is no registry that this version knows. It was left as it is.
    #[error("cannot open the registry, {}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: Arc<redb::Error>,
    },
    /// It cannot be written. Nothing was changed.
    #[error("cannot write to the registry")]
    Write {
        /// Why not.
        #[source]
        source: Arc<redb::Error>,
    },
    /// It failed while it was written: what was to be changed may have been, or not.
    #[error("the registry failed while it was written; what was asked may have been done, or not")]
    OutcomeUnknown {
        /// How it failed.
        #[source]
        source: Arc<redb::Error>,
    },
    /// It was closed. Nothing was changed.
    #[error("the registry is closed")]
    Closed,
}

impl From<RegistryFailed> for Refusal {
    fn from(failed: RegistryFailed) -> Self {
        let message = failed.to_string();
        match &failed {
            RegistryFailed::Open { source, .. } | RegistryFailed::Write { source } => {
                of_disk(message, source, &failed)
            }
            RegistryFailed::OutcomeUnknown { .. } => Self::new(Code::OutcomeUnknown, message)
                .with_hint("look whether it was done, then ask again")
                .caused_by(&failed),
            RegistryFailed::Closed => Self::new(Code::ShuttingDown, message),
        }
    }
}

/// What kind of failure it is, and what to do, is the disk's to say.
fn of_disk(message: String, source: &redb::Error, failed: &RegistryFailed) -> Refusal {
    match source {
        redb::Error::Io(error) => {
            let same = error.raw_os_error().map(std::io::Error::from_raw_os_error);
            let by_disk = Refusal::from(same.unwrap_or_else(|| error.kind().into()));
            Refusal { message, causes: Vec::new(), ..by_disk }
        }
        _ => Refusal::new(Code::Internal, message),
    }
    .caused_by(failed)
}

/// Why a transaction was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitFailed {
    /// This condition did not hold. Nothing was changed.
    #[error("what was read has changed: {0:?} does not hold")]
    Conflict(Condition),
    /// A record is larger than one may be. Nothing was changed.
    #[error("{key} would take {size} bytes, and a record takes at most {MAX_RECORD}")]
    TooLarge {
        /// The record.
        key: Key,
        /// How large it would be, in bytes.
        size: usize,
    },
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] RegistryFailed),
}

/// Why something was not done with a host's registration.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostsFailed {
    /// There is no such host.
    #[error("there is no host {0}")]
    Missing(HostId),
    /// There is such a host.
    #[error("there is a host {0} already")]
    Taken(HostId),
    /// VMs are assigned to it.
    #[error("host {0} is not empty: VMs are assigned to it")]
    NotEmpty(HostId),
    /// What is stored of it cannot be read.
    #[error("what is stored under {path} is damaged")]
    Damaged {
        /// Its key.
        path: String,
        /// What is wrong with it.
        #[source]
        reason: Arc<Damage>,
    },
    /// Others changed it again and again, for as long as was waited.
    #[error("host {0} is being changed by others all the time")]
    Contended(HostId),
    /// More was to be registered of it than may be.
    #[error("{key} would take {size} bytes, and a record takes at most {MAX_RECORD}")]
    TooLarge {
        /// The record.
        key: Key,
        /// How large it would be, in bytes.
        size: usize,
    },
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] RegistryFailed),
}

impl From<HostsFailed> for Refusal {
    fn from(failed: HostsFailed) -> Self {
        let message = failed.to_string();
        match failed {
            HostsFailed::Missing(id) => Self::not_found("host", id),
            HostsFailed::Taken(_) => Self::new(Code::NameTaken, message).at("id"),
            HostsFailed::NotEmpty(_) => Self::new(Code::InUse, message)
                .with_hint("delete its VMs, or move them to other hosts"),
            HostsFailed::Damaged { .. } => Self::new(Code::Quarantined, message)
                .with_hint(
                    "nothing was lost yet; register the host anew to replace it, and its bytes are kept",
                )
                .caused_by(&failed),
            HostsFailed::Contended(_) => {
                Self::new(Code::RevisionConflict, message).with_hint("try again")
            }
            HostsFailed::TooLarge { .. } => {
                Self::new(Code::TooLarge, message).with_limit(format!("{MAX_RECORD} bytes"))
            }
            HostsFailed::Store(failed) => failed.into(),
        }
    }
}
