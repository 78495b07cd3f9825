//! What an operator says of an issuer: which one it is, and what its claims come to.

use super::{fetch::check_address, refused::BadToken, token::Claims};
use crate::{Class, Identity, Principal, Role, Scope, standing::Standing};
use innkeeper_model::{Code, ProjectName, Refusal};
use jiff::SignedDuration;
use reqwest::Url;
use serde_json::Value;
use std::ops::RangeInclusive;

/// The longest name of an issuer.
const MAX_NAME: usize = 32;
/// The longest subject, in bytes: what OpenID Connect allows.
const MAX_SUBJECT: usize = 255;

/// The least and the most that a token's age may be bounded by.
const MAX_AGES: RangeInclusive<SignedDuration> =
    SignedDuration::from_mins(1)..=SignedDuration::from_hours(366 * 24);

/// An issuer of tokens, and who is let in by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRules {
    /// What it is called here: tasks and logs know callers as `oidc:NAME:SUBJECT`. 1 to 32 small letters, digits
    /// and hyphens.
    pub name: String,
    /// What `iss` must be, exactly; its keys are found from there.
    pub issuer: String,
    /// What `aud` must be or contain.
    pub audience: String,
    /// The claim that says who it is.
    pub user: String,
    /// How long a token may count in all, from when it was made: 1 minute to 366 days.
    pub max_age: SignedDuration,
    /// What callers may, by what is claimed of them: the first that fits counts.
    pub grants: Vec<ClaimGrant>,
    /// Whether it may be found without TLS, not being on this host.
    pub allow_http: bool,
}

/// What a caller may of whom this is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimGrant {
    /// Which claim: its name, or with dots the names of objects within one another.
    pub claim: String,
    /// What it must be, or what must be among it.
    pub value: String,
    /// The role.
    pub role: Role,
    /// The only project that is there for them. An owner has one, an admin none.
    pub project: Option<ProjectName>,
    /// Whether they have a privileged caller's room in the limits; admins do in any case.
    pub privileged: bool,
}

/// Why an issuer is not one that tokens can be taken of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIssuer {
    /// Its name is none.
    #[error("the name {0:?} is not of 1 to {MAX_NAME} small letters, digits and hyphens")]
    Name(String),
    /// There are two of this name, or two names for this one.
    #[error("{0:?} is there twice")]
    Twice(String),
    /// Its address is none, or not one that is safe.
    #[error("{issuer:?} is not the address of an issuer: {problem}")]
    Address {
        /// As it was written.
        issuer: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something is empty.
    #[error("{what} of {issuer:?} is empty")]
    Empty {
        /// Of which issuer.
        issuer: String,
        /// What is.
        what: &'static str,
    },
    /// Its tokens could last too short or too long.
    #[error(
        "the max_age of {issuer:?} is {max_age:#}: it has to be from {:#} to {:#}",
        MAX_AGES.start(),
        MAX_AGES.end()
    )]
    MaxAge {
        /// Of which issuer.
        issuer: String,
        /// As it was written.
        max_age: SignedDuration,
    },
    /// A role is not one of a project, or is.
    #[error("{issuer:?} grants the role {role} {problem}")]
    Grant {
        /// Of which issuer.
        issuer: String,
        /// Which role.
        role: Role,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl IssuerRules {
    /// Says what is wrong with them, and where the issuer is.
    ///
    /// # Errors
    /// Something is.
    pub(super) fn check(&self) -> Result<Url, BadIssuer> {
        let Self { name, issuer, audience, user, max_age, grants, allow_http } = self;
        let is_name = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_name {
            return Err(BadIssuer::Name(name.clone()));
        }
        let address = check_address(issuer, *allow_http)
            .map_err(|problem| BadIssuer::Address { issuer: issuer.clone(), problem })?;
        let empty = |what| BadIssuer::Empty { issuer: issuer.clone(), what };
        for (text, what) in [(audience, "the audience"), (user, "the claim of the user")] {
            if text.is_empty() {
                return Err(empty(what));
            }
        }
        if !MAX_AGES.contains(max_age) {
            return Err(BadIssuer::MaxAge { issuer: issuer.clone(), max_age: *max_age });
        }
        for ClaimGrant { claim, value, role, project, .. } in grants {
            if claim.is_empty() || value.is_empty() {
                return Err(empty("a claim or its value"));
            }
            let problem = match (role, project) {
                (Role::Owner, None) => "without a project",
                (Role::Admin, Some(_)) => "of a project, though an admin may do everything",
                _ => continue,
            };
            return Err(BadIssuer::Grant { issuer: issuer.clone(), role: *role, problem });
        }
        Ok(address)
    }

    /// Who a token's claims are of.
    pub(super) fn subject(&self, claims: &Claims) -> Result<Identity, BadToken> {
        let subject = claim(claims, &self.user).and_then(Value::as_str);
        let subject = subject.filter(|text| (1..=MAX_SUBJECT).contains(&text.len()));
        let subject =
            subject.ok_or_else(|| BadToken::Subject { claim: self.user.as_str().into() })?;
        Ok(Identity::Oidc { issuer: self.name.as_str().into(), subject: shown(subject).into() })
    }

    /// What somebody may of whom this is claimed, for as long as what says so stands.
    ///
    /// # Errors
    /// Nothing is granted to them: [`Code::Forbidden`].
    pub(super) fn principal(
        &self,
        identity: Identity,
        claims: &Claims,
        standing: Standing,
    ) -> Result<Principal, Refusal> {
        let Some(grant) = self.grants.iter().find(|grant| grant.fits(claims)) else {
            return Err(Refusal::new(Code::Forbidden, format!("{identity} is not let in here"))
                .with_hint(
                    "the daemon's operator says who is: [[oidc.grant]] of the configuration",
                ));
        };
        let ClaimGrant { role, project, privileged, .. } = grant.clone();
        let scope = project.map_or(Scope::Everything, Scope::Project);
        let class = if privileged { Class::Privileged } else { Class::of(role) };
        Ok(Principal { identity, role, scope, class, standing })
    }
}

impl ClaimGrant {
    fn fits(&self, claims: &Claims) -> bool {
        match claim(claims, &self.claim) {
            Some(Value::String(one)) => *one == self.value,
            Some(Value::Array(several)) => {
                several.iter().any(|one| one.as_str() == Some(&*self.value))
            }
            _ => false,
        }
    }
}

/// A claim by its name, which may have dots in it; else by the names of objects within one another.
fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(name) {
        return Some(found);
    }
    let (outer, inner) = name.split_once('.')?;
    claim(claims.get(outer)?.as_object()?, inner)
}

/// A subject as tasks and logs show it: visible ASCII as it is, all else as `%XX`, so that two are never shown as one
/// and none can steer who reads it.
fn shown(subject: &str) -> String {
    let mut text = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' => text.push(byte.into()),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::Timestamp;
    use serde_json::json;

    fn grant(claim: &str, value: &str, role: Role, project: Option<&str>) -> ClaimGrant {
        let project = project.map(|name| name.parse().unwrap());
        ClaimGrant { claim: claim.into(), value: value.into(), role, project, privileged: false }
    }

    fn rules() -> IssuerRules {
        IssuerRules {
            name: "corp".into(),
            issuer: "https://login.example.org/realms/corp".into(),
            audience: "innkeeper".into(),
            user: "sub".into(),
            max_age: SignedDuration::from_hours(24),
            grants: vec![
                grant("groups", "admins", Role::Admin, None),
                grant("realm_access.roles", "web", Role::Owner, Some("web")),
                grant("https://example.org/roles", "look", Role::Viewer, None),
            ],
            allow_http: false,
        }
    }

    fn may(claims: Value) -> Result<String, Refusal> {
        let claims = claims.as_object().unwrap();
        let identity = rules().subject(claims).map_err(|bad| Refusal::from(&bad))?;
        let expires = Timestamp::from_second(9).unwrap();
        let standing = Standing::of_connection().until(expires);
        let who = rules().principal(identity, claims, standing)?;
        assert_eq!(who.standing.ends(), Some(expires));
        let Principal { identity, role, scope, .. } = who;
        Ok(match scope {
            Scope::Everything => format!("{identity} {role}"),
            Scope::Project(project) => format!("{identity} {role} of {project}"),
        })
    }

    #[test]
    fn the_first_grant_that_fits_counts() {
        for (claims, expected) in [
            (json!({ "groups": "admins" }), "admin"),
            (json!({ "groups": ["a", "admins"], "realm_access": { "roles": ["web"] } }), "admin"),
            (json!({ "realm_access": { "roles": ["web"] } }), "owner of web"),
            (json!({ "https://example.org/roles": ["look"] }), "viewer"),
        ] {
            let mut claims = claims;
            claims["sub"] = "anna".into();
            assert_eq!(may(claims).unwrap(), format!("oidc:corp:anna {expected}"));
        }
    }

    #[test]
    fn who_is_granted_nothing_is_not_let_in() {
        for claims in [
            json!({}),
            json!({ "groups": "Admins" }),
            json!({ "groups": "admins,others" }),
            json!({ "groups": { "admins": true } }),
            json!({ "groups": [["admins"]] }),
            json!({ "realm_access": "web" }),
        ] {
            let mut claims = claims;
            claims["sub"] = "anna".into();
            let refusal = may(claims).unwrap_err();
            assert_eq!(refusal.code, Code::Forbidden);
            assert!(refusal.message.contains("oidc:corp:anna"), "{refusal}");
        }
    }

    #[test]
    fn a_subject_is_shown_so_that_it_steers_nobody_and_is_no_others() {
        let named = |sub: &str| may(json!({ "sub": sub, "groups": "admins" })).unwrap();
        assert_eq!(named("auth0|12@x"), "oidc:corp:auth0|12@x admin");
        assert_eq!(named("a b\u{202e}\n%20"), "oidc:corp:a%20b%E2%80%AE%0A%2520 admin");
        assert_eq!(named(&"x".repeat(255)).len(), "oidc:corp: admin".len() + 255);
        for wrong in [json!(""), json!("x".repeat(256)), json!(7), json!(["a"]), json!(null)] {
            let refusal = may(json!({ "sub": wrong, "groups": "admins" })).unwrap_err();
            assert_eq!(refusal.code, Code::Unauthenticated);
        }
        assert!(may(json!({ "groups": "admins" })).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        rules().check().unwrap();
        let changed = |change: &dyn Fn(&mut IssuerRules)| {
            let mut rules = rules();
            change(&mut rules);
            rules.check()
        };
        for (name, problem) in [("", "name"), ("Corp", "name"), ("a:b", "name")] {
            let refused = changed(&|rules| rules.name = name.into()).unwrap_err();
            assert!(refused.to_string().contains(problem), "{refused}");
        }
        for issuer in [
            "login.example.org",
            "http://login.example.org",
            "ftp://login.example.org",
            "https://",
            "https://kit:secret@login.example.org",
            "https://login.example.org/?realm=a",
            "https://login.example.org/#a",
        ] {
            let refused = changed(&|rules| rules.issuer = issuer.into()).unwrap_err();
            assert!(matches!(refused, BadIssuer::Address { .. }), "{refused}");
        }
        changed(&|rules| rules.issuer = "http://127.0.0.1:9/".into()).unwrap();
        changed(&|rules| rules.issuer = "http://localhost:9".into()).unwrap();
        let plain = |rules: &mut IssuerRules| {
            (rules.issuer, rules.allow_http) = ("http://login.example.org".into(), true);
        };
        changed(&plain).unwrap();
        changed(&|rules| rules.audience = String::new()).unwrap_err();
        changed(&|rules| rules.user = String::new()).unwrap_err();
        for (minutes, is_taken) in
            [(0, false), (1, true), (366 * 24 * 60, true), (366 * 24 * 60 + 1, false)]
        {
            let checked = changed(&|rules| rules.max_age = SignedDuration::from_mins(minutes));
            assert_eq!(checked.is_ok(), is_taken, "{checked:?}");
        }
        changed(&|rules| rules.grants[0].value = String::new()).unwrap_err();
        changed(&|rules| rules.grants[1].project = None).unwrap_err();
        changed(&|rules| rules.grants[0].project = Some("a".parse().unwrap())).unwrap_err();
    }
}
