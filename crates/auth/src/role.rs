//! What callers may do: one table of role, action and resource, and nothing else decides it.
//!
//! A surface says of each of its routes which action on which resource it is; a [`Principal`] is asked
//! whether it may. `inn auth table` prints the table, and `docs/callers.md` holds it.
//!
//! [`Principal`]: crate::Principal

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// How much a caller may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Starts and stops what there is, and reads.
    Operator,
    /// Everything with what is of its own project, and nothing with what is not.
    Owner,
    /// Everything.
    Admin,
}

/// What a request does, as far as roles go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It shows something.
    Read,
    /// It starts, stops, pauses or resumes a machine, or ends what is being done.
    Power,
    /// It gets at what is inside a machine: its console and screen, its guest's programs and files, the
    /// bytes of its disks.
    Enter,
    /// It makes, changes or deletes something.
    Change,
    /// It is for whoever answers for the host: it adopts what others made, or steers the daemon.
    Administer,
}

/// What a request is about, as far as roles go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// VMs and what belongs to them.
    Vm,
    /// What is being done, and was done.
    Task,
    /// The feed of changes.
    Event,
    /// Images.
    Image,
    /// Networks, their subnets, and who has which address.
    Network,
    /// What projects may take of the host, and have.
    Project,
    /// The host and what else runs on it.
    Host,
    /// The daemon, when something is stuck; its figures.
    Diagnostics,
    /// The registry of hosts.
    Registry,
    /// Tokens that were issued.
    Token,
    /// Certificates of callers.
    Certificate,
    /// The record of who did what.
    Audit,
    /// What says nothing of this host: the documents of the APIs, and whether a credential holds.
    Service,
}

/// Of which things a role may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// Of none.
    Nothing,
    /// Of those of the caller's own project.
    Own,
    /// Of all.
    Everything,
}

/// One row of the table: an action on a resource, and what each role is granted of it, in the order of
/// [`Role::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// On what.
    pub resource: Resource,
    /// What is done.
    pub action: Action,
    grants: [Grant; Role::ALL.len()],
}

const fn row(resource: Resource, action: Action, grants: [Grant; Role::ALL.len()]) -> Row {
    Row { resource, action, grants }
}

/// The table. What has no row is granted to administrators alone.
pub const TABLE: &[Row] = {
    use Action::{Administer, Change, Enter, Power, Read};
    use Grant::{Everything as All, Nothing as No, Own};
    use Resource::*;
    &[
        //                      viewer, operator, owner, admin
        row(Vm, Read, [All, All, Own, All]),
        row(Vm, Power, [No, All, Own, All]),
        row(Vm, Enter, [No, No, Own, All]),
        row(Vm, Change, [No, No, Own, All]),
        // Adopting takes a machine from its manager.
        row(Vm, Administer, [No, No, No, All]),
        row(Task, Read, [All, All, Own, All]),
        row(Task, Power, [No, All, Own, All]),
        // To say how a change that was cut short is seen through is to change.
        row(Task, Change, [No, No, Own, All]),
        row(Event, Read, [All, All, Own, All]),
        // Whose VMs begin with an image must see which there are; they are the operator's.
        row(Image, Read, [All, All, All, All]),
        row(Image, Change, [No, No, No, All]),
        row(Network, Read, [All, All, All, All]),
        row(Network, Change, [No, No, No, All]),
        row(Project, Read, [All, All, Own, All]),
        row(Project, Change, [No, No, No, All]),
        row(Host, Read, [All, All, No, All]),
        row(Host, Administer, [No, No, No, All]),
        row(Diagnostics, Read, [All, All, No, All]),
        row(Diagnostics, Administer, [No, No, No, All]),
        row(Registry, Read, [All, All, No, All]),
        row(Registry, Change, [No, No, No, All]),
        row(Token, Read, [No, No, No, All]),
        row(Token, Change, [No, No, No, All]),
        row(Certificate, Read, [No, No, No, All]),
        row(Certificate, Change, [No, No, No, All]),
        row(Audit, Read, [No, No, No, All]),
        row(Service, Read, [All, All, All, All]),
    ]
};

impl Row {
    /// What a role is granted of it.
    pub const fn grant(&self, role: Role) -> Grant {
        self.grants[role as usize]
    }
}

impl Role {
    /// All roles, in the order of the table's columns.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Owner, Self::Admin];

    /// Of which things of this kind this role may do this.
    pub fn grant(self, action: Action, resource: Resource) -> Grant {
        let row = TABLE.iter().find(|row| row.action == action && row.resource == resource);
        match (row, self) {
            (Some(row), _) => row.grant(self),
            (None, Self::Admin) => Grant::Everything,
            (None, Self::Viewer | Self::Operator | Self::Owner) => Grant::Nothing,
        }
    }

    /// The role's name, as it is configured.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
            Self::Admin => "admin",
        }
    }
}

impl Action {
    /// What it is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Power => "power",
            Self::Enter => "enter",
            Self::Change => "change",
            Self::Administer => "administer",
        }
    }
}

impl Resource {
    /// What it is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Task => "task",
            Self::Event => "event",
            Self::Image => "image",
            Self::Network => "network",
            Self::Project => "project",
            Self::Host => "host",
            Self::Diagnostics => "diagnostics",
            Self::Registry => "registry",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Audit => "audit",
            Self::Service => "service",
        }
    }
}

impl Grant {
    /// What it is called in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "-",
            Self::Own => "own",
            Self::Everything => "all",
        }
    }
}

/// Shown as it is written.
macro_rules! shown {
    ($($named:ty),*) => {$(
        impl fmt::Display for $named {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}
shown!(Role, Action, Resource, Grant);

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| format!("{text:?} is not a role: viewer, operator, owner or admin"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_there_once_and_grants_admins_everything() {
        for (at, row) in TABLE.iter().enumerate() {
            let same = |other: &Row| (other.resource, other.action) == (row.resource, row.action);
            assert_eq!(TABLE.iter().position(same), Some(at), "{row:?}");
            assert_eq!(row.grant(Role::Admin), Grant::Everything, "{row:?}");
        }
    }

    #[test]
    fn each_role_of_the_house_may_what_the_lesser_ones_may() {
        for row in TABLE {
            let [viewer, operator, owner, admin] = Role::ALL.map(|role| row.grant(role));
            assert!(viewer <= operator && operator <= admin, "{row:?}");
            assert!(![viewer, operator, admin].contains(&Grant::Own), "{row:?}");
            // What an owner may with what is its own, somebody may with everything.
            assert!(owner <= admin, "{row:?}");
        }
    }

    #[test]
    fn viewers_only_read_and_operators_make_nothing() {
        for row in TABLE {
            let (viewer, operator) = (row.grant(Role::Viewer), row.grant(Role::Operator));
            assert!(viewer == Grant::Nothing || row.action == Action::Read, "{row:?}");
            let may = matches!(row.action, Action::Read | Action::Power);
            assert!(operator == Grant::Nothing || may, "{row:?}");
        }
    }

    #[test]
    fn what_has_no_row_is_for_administrators() {
        for role in Role::ALL {
            let granted = role.grant(Action::Power, Resource::Image);
            let expected = if role == Role::Admin { Grant::Everything } else { Grant::Nothing };
            assert_eq!(granted, expected, "{role}");
        }
    }

    #[test]
    fn a_role_reads_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().unwrap_err().contains("operator"));
    }
}
