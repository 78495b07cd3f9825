//! What an operator writes down about OpenID Connect.

use innkeeper_auth::{
    Role,
    oidc::{ClaimGrant, IssuerRules},
};
use innkeeper_model::ProjectName;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An OpenID Connect issuer whose tokens are taken as `Authorization: Bearer`; one section each
/// ([callers](callers.md)). `name`, `issuer` and `audience` must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// What it is called here, in 1 to 32 small letters, digits and hyphens: tasks and logs know its callers as
    /// `oidc:NAME:SUBJECT`.
    pub name: String,
    /// The issuer, exactly as its tokens have it in `iss`: an `https` address, or one of this host. Its keys are
    /// found by its `/.well-known/openid-configuration`.
    pub issuer: String,
    /// What a token's `aud` must name.
    pub audience: String,
    /// The claim that says who somebody is: one that nobody can choose, and that is never another's.
    #[serde(default = "subject")]
    pub user: String,
    /// How long a token may count in all, from when it was made (`"15min"`, `"12h"`; 1 minute to 366 days): one that
    /// expires later is refused.
    #[serde(default = "one_day")]
    #[schema(value_type = String)]
    pub max_age: SignedDuration,
    /// Let the issuer be found by plain `http` elsewhere. Whoever is on the way can then say who anybody is.
    #[serde(default)]
    pub allow_http: bool,
    /// What its callers may, each a section. Who fits none is not let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant: Vec<OidcGrantConfig>,
}

/// What callers of an issuer may of whom it claims something: the first that fits counts.
/// `claim`, `value` and `role` must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcGrantConfig {
    /// The claim, such as `groups`; or with dots the names of objects within one another: `realm_access.roles`.
    pub claim: String,
    /// What it must be, or what must be among it, exactly.
    pub value: String,
    /// The role: `viewer`, `operator`, `owner` or `admin`.
    #[schema(value_type = String)]
    pub role: Role,
    /// The only project that is there for them. An owner has one, an admin none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub project: Option<ProjectName>,
    /// Whether they have a privileged caller's room in the limits; admins do in any case.
    #[serde(default)]
    pub privileged: bool,
}

fn subject() -> String {
    "sub".into()
}

const fn one_day() -> SignedDuration {
    SignedDuration::from_hours(24)
}

impl OidcConfig {
    /// What that comes to.
    pub(crate) fn rules(&self) -> IssuerRules {
        let Self { name, issuer, audience, user, max_age, allow_http, grant } = self.clone();
        let grants = grant.into_iter().map(|grant| {
            let OidcGrantConfig { claim, value, role, project, privileged } = grant;
            ClaimGrant { claim, value, role, project, privileged }
        });
        let grants = grants.collect();
        IssuerRules { name, issuer, audience, user, max_age, grants, allow_http }
    }
}
