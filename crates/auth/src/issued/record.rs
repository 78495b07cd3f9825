//! One credential that was issued: what is stored of it, and what of a token is shown.

use crate::{digest::Digest, role::Role};
use innkeeper_model::{Code, ProjectName, Refusal, Timestamp, TokenName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody wants a token to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name; tasks and logs know its bearers as `token:NAME`.
    pub name: TokenName,
    /// What its bearers may do.
    pub role: Role,
    /// The only project that is there for them. An owner has one, an admin none.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// From when on it is refused. Default: it does not expire.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// Whether they have a privileged caller's room in the limits; admins do in any case.
    #[serde(default)]
    pub privileged: bool,
}

/// A credential as it is stored: the digest of what its bearer shows, and never that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    pub(crate) name: TokenName,
    pub(crate) digest: Digest,
    pub(crate) role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<ProjectName>,
    #[serde(default)]
    pub(crate) privileged: bool,
    pub(crate) created: Timestamp,
    pub(crate) created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_used: Option<Timestamp>,
    /// What a certificate has beside this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<StoredCertificate>,
}

/// What is stored of a certificate beside what is of every credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredCertificate {
    /// Its serial number, in hexadecimal.
    pub(crate) serial: String,
    /// For how many seconds it was issued, which is for how many it is renewed; none where another authority did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lifetime_s: Option<i64>,
    /// What it was before it was renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) former: Option<Former>,
}

/// A certificate that was renewed, and counts until the new one is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Former {
    pub(crate) digest: Digest,
    pub(crate) expires: Timestamp,
}

impl Stored {
    /// The digests of all that its bearers may show.
    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        let former = self.certificate.as_ref().and_then(|certificate| certificate.former);
        [self.digest].into_iter().chain(former.map(|former| former.digest))
    }
}

/// Whether a credential opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialState {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked, and could not be taken off the list on the disk yet.
    Revoked,
}

/// A credential that was issued, as those who answer for it see it: everything but what is shown as it, which nobody
/// has but its bearers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownCredential {
    /// Its name.
    pub name: TokenName,
    /// Whether it opens anything.
    pub state: CredentialState,
    /// What its bearers may do.
    pub role: Role,
    /// The only project that is there for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// Whether they have a privileged caller's room in the limits.
    pub privileged: bool,
    /// When it was first made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// When it was last shown, to the second. After a crash it can be a minute early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
}

impl From<(Stored, CredentialState)> for ShownCredential {
    fn from((stored, state): (Stored, CredentialState)) -> Self {
        let Stored { name, role, project, privileged, created, created_by, .. } = stored;
        let Stored { digest: _, expires, last_used, certificate: _, .. } = stored;
        Self { name, state, role, project, privileged, created, created_by, expires, last_used }
    }
}

/// Refuses what no credential can stand for.
///
/// # Errors
/// An owner of nothing, an admin of something, or an end that is past.
pub(crate) fn check(
    role: Role,
    project: Option<&ProjectName>,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Refusal> {
    match (role, project) {
        (Role::Owner, None) => {
            return Err(Refusal::new(Code::InvalidField, "project: an owner is one of a project")
                .at("project")
                .with_hint("say which: --project NAME"));
        }
        (Role::Admin, Some(project)) => {
            let problem = "is not for an admin, who may do everything with everything";
            return Err(Refusal::invalid("project", project, problem)
                .with_hint("leave it out, or make an owner: --role owner"));
        }
        _ => {}
    }
    match expires {
        Some(expires) if expires <= now => {
            Err(Refusal::invalid("expires", expires, "is over already"))
        }
        _ => Ok(()),
    }
}
