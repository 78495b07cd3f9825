//! What a door is made of.

use crate::{Context, Door};
use axum::{Router, response::Response};
use http::Method;
use innkeeper_auth::{Action, Resource};
use innkeeper_model::Refusal;

/// The protocol that a door speaks.
pub trait Protocol: Send + Sync + 'static {
    /// The most bytes of a request's body.
    const MAX_BODY: usize;

    /// Which door it is.
    fn door(&self) -> Door;

    /// Its routes. What comes to them has passed the gate, and brings its [`Caller`] and its [`Principal`]
    /// among the request's extensions; what of the context there is for that one, a `Visit` says.
    ///
    /// [`Caller`]: innkeeper_engine::Caller
    /// [`Principal`]: innkeeper_auth::Principal
    fn router(&self, context: Context) -> Router;

    /// What a request does, and to what; `None` for a probe that anybody may send who can connect, and
    /// that says no more than that the door is open. For a request that it does not have, whatever it
    /// would be.
    fn needs(&self, method: &Method, path: &str) -> Option<(Action, Resource)>;

    /// A refusal, as the protocol says it.
    fn refuse(&self, refusal: &Refusal) -> Response;
}
