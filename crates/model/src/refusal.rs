//! Why something was not done, said so that the caller can mend it.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// The stable code of a refusal. Programs match on it; its text never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request is not readable as what it claims to be.
    BadRequest,
    /// A field has a value that is not allowed.
    InvalidField,
    /// Nobody said who is calling, or what they said does not hold.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// There is such a thing, but not with this method.
    MethodNotAllowed,
    /// The name or id is in use.
    NameTaken,
    /// More than one thing has this name.
    AmbiguousName,
    /// The operation is not possible in the state that the VM is in, or will be in.
    WrongState,
    /// The thing was changed since the caller read it.
    RevisionConflict,
    /// Something else still uses it.
    InUse,
    /// It is protected against deletion.
    Protected,
    /// The same idempotency key was used for a different request.
    IdempotencyConflict,
    /// The body is larger than allowed.
    TooLarge,
    /// The host has not enough of something.
    OutOfCapacity,
    /// The disk is full.
    OutOfSpace,
    /// The host's disk takes no writes, or fails.
    DiskFailed,
    /// This host or hypervisor cannot do it.
    Unsupported,
    /// A program that is needed is not installed.
    MissingProgram,
    /// Another manager of this host has the machine, and it was not adopted.
    ManagedElsewhere,
    /// The VM's stored spec is damaged, and the VM is left alone until a person mends it.
    Quarantined,
    /// An earlier operation stopped halfway, and a person must say how it goes on.
    Interrupted,
    /// What an earlier operation left behind is in the way and cannot be cleared.
    Leftovers,
    /// It may have happened or not; nothing can tell.
    OutcomeUnknown,
    /// A hook of the operator's refused or failed.
    HookFailed,
    /// The memory image is not one that this machine can take over.
    IncompatibleMemory,
    /// The hypervisor refused or failed.
    HypervisorFailed,
    /// The caller has called too often, and may again after a while.
    TooManyRequests,
    /// It took too long.
    Timeout,
    /// It was cancelled.
    Cancelled,
    /// The daemon is stopping.
    ShuttingDown,
    /// A defect in Innkeeper.
    Internal,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A refusal or failure, as it reaches the caller: what happened, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of refusal this is.
    pub code: Code,
    /// One sentence for a person.
    pub message: String,
    /// The field at fault, as a path: `disks[0].size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The value at fault, as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The bound that the value broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// What the caller can do about it, preferably a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What led to it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

/// The longest piece of a caller's value that a refusal repeats, in characters.
const SHOWN_VALUE_LENGTH: usize = 120;

impl Refusal {
    /// A refusal of this kind with this sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
            value: None,
            limit: None,
            hint: None,
            causes: Vec::new(),
        }
    }

    /// The value of a field is not allowed.
    pub fn invalid(
        field: impl Into<String>,
        value: impl fmt::Display,
        problem: impl fmt::Display,
    ) -> Self {
        let field = field.into();
        let value: String = value.to_string().chars().take(SHOWN_VALUE_LENGTH).collect();
        let mut refusal = Self::new(Code::InvalidField, format!("{field}: {value:?} {problem}"));
        refusal.field = Some(field);
        refusal.value = Some(value);
        refusal
    }

    /// There is no such thing.
    pub fn not_found(kind: &str, name: impl fmt::Display) -> Self {
        let name: String = name.to_string().chars().take(SHOWN_VALUE_LENGTH).collect();
        let mut refusal = Self::new(Code::NotFound, format!("there is no {kind} {name:?}"));
        refusal.value = Some(name);
        refusal
    }

    /// The same refusal, naming the field.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same refusal, naming the bound that was broken.
    #[must_use]
    pub fn with_limit(mut self, limit: impl fmt::Display) -> Self {
        self.limit = Some(limit.to_string());
        self
    }

    /// The same refusal, with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same refusal, with the chain of errors that led to it.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }
}

/// What the system says when a disk cannot be read or written (`errno(3)`).
const EIO: i32 = 5;

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                Self::new(Code::OutOfSpace, "the disk is full")
                    .with_hint("free some space, then try again")
            }
            ErrorKind::ReadOnlyFilesystem => {
                Self::new(Code::DiskFailed, "the disk takes no writes").with_hint(
                    "the host has made it read-only, most often because it fails: see `dmesg`; guests can \
                     be stopped, paused and killed meanwhile",
                )
            }
            _ if error.raw_os_error() == Some(EIO) => {
                Self::new(Code::DiskFailed, "the disk fails").with_hint("see `dmesg` on the host")
            }
            _ => Self::new(Code::Internal, "the host refused a file operation"),
        }
        .caused_by(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_disk_that_is_full_or_fails_is_no_defect_of_innkeepers() {
        // ENOSPC, EDQUOT, EROFS, EIO, and one that should not happen: EBADF.
        for (errno, code) in [
            (28, Code::OutOfSpace),
            (122, Code::OutOfSpace),
            (30, Code::DiskFailed),
            (EIO, Code::DiskFailed),
            (9, Code::Internal),
        ] {
            let refusal = Refusal::from(io::Error::from_raw_os_error(errno));
            assert_eq!(refusal.code, code, "{errno}");
            assert_eq!(refusal.hint.is_some(), code != Code::Internal, "{errno}");
            assert!(refusal.causes[0].contains(&format!("os error {errno}")), "{refusal:?}");
        }
    }
}
