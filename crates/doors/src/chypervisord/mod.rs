//! The door of chypervisord: the registry of hosts, with what each was told, the subnets that it
//! reaches and the VMs assigned to it.
//!
//! Requests and answers are chypervisord's, with these repairs: what is missing is 404 and what is
//! taken or contradicts something 409 (its were 500); ids are kept in one case, however they are
//! sent; keys of a host's config cannot climb out of it; a record that is damaged is left out of the
//! list instead of breaking it; of two PATCHes that overlap, neither is lost; a PATCH of config or
//! subnets is made whole or not at all; guests come in the order of their ids.
//!
//! One of the hosts is this one ([`ThisHost`]). Its address, hardware address and resources are the
//! daemon's to write: a PATCH that leaves them out leaves them, one that says otherwise is refused. Of
//! another host a PATCH that leaves out resources sets them to zero, as it always did.
//!
//! What there is of a host and what is free of it are both shown, so what is promised to VMs is the
//! difference; where more is promised than there is, nothing is free. Not here: the bytes of the
//! registry (`innkeeper_store::registry`), and putting VMs on hosts.

mod body;
mod change;
mod config;
mod document;
mod failure;
#[doc(hidden)]
pub mod fuzz;
mod guests;
mod hypervisors;
mod listing;
mod paths;
mod shown;
mod subnets;
mod this_host;

pub use document::document;
pub use this_host::ThisHost;

use crate::{Context, Door, Protocol};
use axum::{
    Router,
    extract::{FromRequestParts, RawPathParams},
    middleware,
    response::{IntoResponse, Response},
    routing,
};
use failure::Failure;
use http::{Method, request::Parts};
use innkeeper_auth::{Action, Resource};
use innkeeper_model::{HostId, Refusal};
use innkeeper_store::registry::{HostRecord, Hosts, HostsFailed, Key, Snapshot};
use listing::Listing;
use std::sync::Arc;
use this_host::Account;

/// The door; clones are the same one.
#[derive(Debug, Clone)]
pub struct Chypervisord {
    hosts: Hosts,
    this_host: ThisHost,
}

impl Chypervisord {
    /// A door to these hosts, of which one is this. It is registered, and what its registration says of
    /// its address and resources is brought up to date.
    ///
    /// # Errors
    /// The registry cannot be read or written.
    pub async fn open(hosts: Hosts, this_host: ThisHost) -> Result<Self, Refusal> {
        this_host.register(&hosts).await?;
        Ok(Self { hosts, this_host })
    }
}

impl Protocol for Chypervisord {
    /// More than any record takes.
    const MAX_BODY: usize = 1 << 20;

    fn door(&self) -> Door {
        Door::Chypervisord
    }

    fn router(&self, context: Context) -> Router {
        let registered = Registered {
            context,
            hosts: self.hosts.clone(),
            this_host: Arc::new(self.this_host.clone()),
            account: Arc::default(),
            listing: Arc::default(),
        };
        Router::new()
            .route("/hypervisors", routing::get(hypervisors::list).post(hypervisors::create))
            .route(
                "/hypervisors/{hypervisor}",
                routing::get(hypervisors::read)
                    .patch(hypervisors::change)
                    .delete(hypervisors::remove),
            )
            .route(
                "/hypervisors/{hypervisor}/config",
                routing::get(config::read).patch(config::change),
            )
            .route(
                "/hypervisors/{hypervisor}/subnets",
                routing::get(subnets::read).patch(subnets::change),
            )
            .route("/hypervisors/{hypervisor}/subnets/{subnet}", routing::delete(subnets::remove))
            .route("/hypervisors/{hypervisor}/guests", routing::get(guests::list))
            .fallback(paths::elsewhere)
            .method_not_allowed_fallback(paths::not_found)
            .layer(middleware::from_fn(paths::canonical))
            .with_state(registered)
    }

    fn needs(&self, method: &Method, _: &str) -> Option<(Action, Resource)> {
        let action = if method.is_safe() { Action::Read } else { Action::Change };
        Some((action, Resource::Registry))
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        Failure::from(refusal.clone()).into_response()
    }
}

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Registered {
    context: Context,
    hosts: Hosts,
    this_host: Arc<ThisHost>,
    account: Arc<Account>,
    listing: Arc<Listing>,
}

impl Registered {
    /// A host as it is shown: as it is registered, but for what this daemon knows of itself.
    fn show(&self, host: &HostRecord) -> HostRecord {
        if host.id == self.this_host.id {
            let promised = self.account.of(&self.context.view().snapshot());
            self.this_host.shown(host, promised)
        } else {
            host.clone()
        }
    }
}

/// The host that a path names.
pub(crate) struct Named {
    /// Its id.
    id: HostId,
    /// Everything, as it was when the request came.
    now: Arc<Snapshot>,
    /// The host in it.
    host: HostRecord,
}

impl FromRequestParts<Registered> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Registered) -> Result<Self, Failure> {
        let named = parameter(parts, "hypervisor").await;
        let id = named.and_then(|text| text.parse::<HostId>().ok());
        let id = id.ok_or_else(|| Failure::short("invalid hypervisor id"))?;
        let now = state.hosts.snapshot().await?;
        now.check(Key::Host(id))?;
        let host = now.host(id).ok_or(HostsFailed::Missing(id))?;
        let host = HostRecord::clone(host);
        Ok(Self { id, now, host })
    }
}

/// A part of the path that varies, decoded; `None` if it is not text.
async fn parameter(parts: &mut Parts, name: &str) -> Option<String> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let found = parameters.iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests;
