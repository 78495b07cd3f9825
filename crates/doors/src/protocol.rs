//! What a door is made of.

use crate::{Context, Door};
use axum::{Router, response::Response};
use http::Method;
use innkeeper_auth::Action;
use innkeeper_model::Refusal;

/// The protocol that a door speaks.
pub trait Protocol: Send + Sync + 'static {
    /// The most bytes of a request's body.
    const MAX_BODY: usize;

    /// Which door it is.
    fn door(&self) -> Door;

    /// Its routes. What comes to them has passed the gate, and brings its [`Caller`] and their [`Role`] among
    /// the request's extensions.
    ///
    /// [`Caller`]: innkeeper_engine::Caller
    /// [`Role`]: innkeeper_auth::Role
    fn router(&self, context: Context) -> Router;

    /// What kind of action a request is; `None` for a probe that anybody may send who can connect, and
    /// that says no more than that the door is open. For a request that it does not have, whatever kind
    /// it would be.
    fn action(&self, method: &Method, path: &str) -> Option<Action>;

    /// A refusal, as the protocol says it.
    fn refuse(&self, refusal: &Refusal) -> Response;
}
