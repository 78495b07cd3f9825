//! Principals: a caller with all that its credential says of it.

use crate::{
    identity::Identity,
    role::{Action, Grant, Resource, Role},
    standing::Standing,
};
use innkeeper_model::{Code, ProjectName, Refusal};
use std::hash::{Hash, Hasher};

/// A caller, proved, and what it may. Two are equal if they are the same caller with the same rights; for how
/// long, is not compared.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Who it is.
    pub identity: Identity,
    /// What it may do.
    pub role: Role,
    /// With what.
    pub scope: Scope,
    /// How often.
    pub class: Class,
    /// For how long.
    pub standing: Standing,
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        let Self { identity, role, scope, class, standing: _ } = self;
        (identity, role, scope, class) == (&other.identity, &other.role, &other.scope, &other.class)
    }
}

impl Eq for Principal {}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { identity, role, scope, class, standing: _ } = self;
        (identity, role, scope, class).hash(state);
    }
}

/// What a caller is shown and can do anything with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything on this host.
    Everything,
    /// What is of this project, and what is everybody's.
    Project(ProjectName),
}

/// How a caller's requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// As anybody's.
    Standard,
    /// With more room.
    Privileged,
    /// Not at all.
    Unlimited,
}

impl Principal {
    /// Somebody who may do everything with everything.
    pub const fn admin(identity: Identity) -> Self {
        Self {
            identity,
            role: Role::Admin,
            scope: Scope::Everything,
            class: Class::Privileged,
            standing: Standing::of_connection(),
        }
    }

    /// A process that opened the unix socket. Reaching that is the permission, so it is an administrator;
    /// root's and the daemon's own (whose user is `daemon_uid`) are not counted.
    pub fn of_socket(uid: u32, daemon_uid: u32) -> Self {
        let principal = Self::admin(Identity::User { uid });
        if uid == 0 || uid == daemon_uid {
            return Self { class: Class::Unlimited, ..principal };
        }
        principal
    }

    /// A process of this host at a door without a credential, in the role that the operator stated.
    pub fn anonymous(identity: Identity, role: Role) -> Self {
        let (scope, class) = (Scope::Everything, Class::of(role));
        Self { identity, role, scope, class, standing: Standing::of_connection() }
    }

    /// The same caller, for as long as this holds.
    #[must_use]
    pub fn while_it_holds(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// Whether it may do this to such things; to which of them, [`Self::scope`] says.
    ///
    /// Who is bound to a project may nothing that its owner may not, whatever the role.
    pub fn may(&self, action: Action, resource: Resource) -> bool {
        let granted = self.role.grant(action, resource);
        match self.scope {
            Scope::Everything => granted == Grant::Everything,
            Scope::Project(_) => granted.min(Role::Owner.grant(action, resource)) != Grant::Nothing,
        }
    }

    /// Refuses what it may not.
    ///
    /// # Errors
    /// [`Code::Forbidden`], in words that say nothing of what there is.
    pub fn check(&self, action: Action, resource: Resource) -> Result<(), Refusal> {
        if self.may(action, resource) {
            return Ok(());
        }
        let Self { identity, role, .. } = self;
        let whose = match &self.scope {
            Scope::Everything => String::new(),
            Scope::Project(project) => format!(" of project {project}"),
        };
        let message =
            format!("{identity} is {role}{whose}, who may not do this: {action} {resource}");
        Err(Refusal::new(Code::Forbidden, message).with_hint("what each role may: inn auth table"))
    }
}

impl Class {
    /// That of callers in this role, unless somebody said more.
    pub const fn of(role: Role) -> Self {
        match role {
            Role::Admin => Self::Privileged,
            Role::Viewer | Role::Operator | Role::Owner => Self::Standard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::TABLE;

    fn principal(role: Role, project: Option<&str>) -> Principal {
        let scope = match project {
            None => Scope::Everything,
            Some(name) => Scope::Project(name.parse().unwrap()),
        };
        let (identity, standing) = (Identity::Token, Standing::of_connection());
        Principal { identity, role, scope, class: Class::Standard, standing }
    }

    #[test]
    fn who_is_bound_to_a_project_may_no_more_than_its_owner() {
        let owner = principal(Role::Owner, Some("a"));
        for row in TABLE {
            for role in Role::ALL {
                let (bound, free) = (principal(role, Some("a")), principal(role, None));
                let may = bound.may(row.action, row.resource);
                assert!(!may || owner.may(row.action, row.resource), "{role} {row:?}");
                if role != Role::Owner {
                    assert!(!may || free.may(row.action, row.resource), "{role} {row:?}");
                }
            }
        }
        assert!(!principal(Role::Admin, Some("a")).may(Action::Change, Resource::Token));
        assert!(principal(Role::Viewer, Some("a")).may(Action::Read, Resource::Vm));
    }

    #[test]
    fn an_owner_of_nothing_may_nothing_with_what_is_somebodys() {
        let nobody = principal(Role::Owner, None);
        assert!(!nobody.may(Action::Read, Resource::Vm));
        assert!(nobody.may(Action::Read, Resource::Image));
    }

    #[test]
    fn a_refusal_says_who_may_not_do_what() {
        let refusal = principal(Role::Viewer, Some("a")).check(Action::Power, Resource::Vm);
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.code, Code::Forbidden);
        assert!(refusal.message.contains("viewer of project a"), "{refusal}");
        assert!(refusal.message.contains("power vm"), "{refusal}");
    }

    #[test]
    fn of_those_at_the_socket_only_root_and_the_daemon_are_not_counted() {
        assert_eq!(Principal::of_socket(0, 7).class, Class::Unlimited);
        assert_eq!(Principal::of_socket(7, 7).class, Class::Unlimited);
        assert_eq!(Principal::of_socket(8, 7), Principal::admin(Identity::User { uid: 8 }));
    }
}
