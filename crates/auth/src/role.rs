//! What callers may do.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// How much a caller may do; each may do what those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Starts and stops what there is.
    Operator,
    /// Everything.
    Admin,
}

/// What a request does, as far as roles go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It shows something.
    Read,
    /// It starts, stops, pauses or resumes a machine.
    Power,
    /// It makes, changes or deletes something.
    Change,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Whether this role may do such a thing.
    pub const fn may(self, action: Action) -> bool {
        match (self, action) {
            (Self::Admin, _)
            | (Self::Operator, Action::Read | Action::Power)
            | (Self::Viewer, Action::Read) => true,
            (Self::Operator, Action::Change) | (Self::Viewer, Action::Power | Action::Change) => {
                false
            }
        }
    }

    /// The role's name, as it is configured.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| format!("{text:?} is not a role: viewer, operator or admin"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_lesser_ones_may() {
        let may = |role: Role| {
            [Action::Read, Action::Power, Action::Change].map(|action| role.may(action))
        };
        assert_eq!(may(Role::Viewer), [true, false, false]);
        assert_eq!(may(Role::Operator), [true, true, false]);
        assert_eq!(may(Role::Admin), [true, true, true]);
    }

    #[test]
    fn a_role_reads_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().unwrap_err().contains("operator"));
    }
}
