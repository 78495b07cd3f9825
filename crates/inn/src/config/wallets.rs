//! What an operator writes down about wallets.

use innkeeper_auth::{
    AccountRules, Address,
    wallet::siwe::{NotASite, Site},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Ethereum accounts that are let in at the doors and over TCP, with a token that they signed
/// themselves (`docs/wallets.md`). Each owns the project that has its address for a name, in small letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WalletsConfig {
    /// What a token's `aud` must name; each door can have another.
    pub audience: String,
    /// Where wallets sign in, as a person's browser knows this daemon: `http://localhost:7100`. Default: they do
    /// not, and only tokens are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Whether every account is let in, as the owner of its project.
    pub open: bool,
    /// The accounts that are let in as the owners of their projects, by address.
    #[schema(value_type = Vec<String>)]
    pub owners: BTreeSet<Address>,
    /// The accounts that are administrators.
    #[schema(value_type = Vec<String>)]
    pub admins: BTreeSet<Address>,
    /// The accounts that have a privileged caller's room in the limits. That lets nobody in.
    #[schema(value_type = Vec<String>)]
    pub privileged: BTreeSet<Address>,
}

impl Default for WalletsConfig {
    fn default() -> Self {
        let none = BTreeSet::new;
        let audience = "innkeeper".into();
        Self {
            audience,
            site: None,
            open: false,
            owners: none(),
            admins: none(),
            privileged: none(),
        }
    }
}

impl WalletsConfig {
    /// Where they sign in.
    ///
    /// # Errors
    /// It is no site.
    pub(crate) fn site(&self) -> Result<Option<Site>, NotASite> {
        self.site.as_deref().map(str::parse).transpose()
    }

    /// Who is let in.
    pub(crate) fn rules(&self) -> AccountRules {
        let Self { open, owners, admins, privileged, audience: _, site: _ } = self.clone();
        AccountRules { open, owners, admins, privileged }
    }
}
