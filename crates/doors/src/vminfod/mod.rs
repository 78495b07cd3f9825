//! The door of triton-vminfod: every VM at once, from memory, and what happens to them.
//!
//! ```text
//!   GET /ping           /status?full     /vms?filters&fields    /vms/UUID?fields    /events?filters&since
//! ```
//!
//! It is read-only: what changes VMs comes by other doors, and is done when every reader of this one can
//! see it. The protocol is its own: answers say that they are JSON even where they are a sentence, and a
//! path's further segments are not looked at.
//!
//! [`object`] is pure and is used by the command line too, so that `inn vmadm` shows what the door does.
//! What differs from the ancestor, and why, is in `docs/doors/vminfod.md`.

mod answer;
mod clock;
mod diff;
mod documentation;
mod events;
#[doc(hidden)]
pub mod fuzz;
mod lines;
mod list;
mod listeners;
mod mapping;
mod matching;
mod object;
mod payload;
mod query;
mod route;
mod status;
#[cfg(test)]
mod tests;

pub use documentation::document;
pub use matching::{Conditions, NotAFilter, check_key, type_of};
pub use payload::{BadPayload, Created, change, create};

use crate::{Context, Door, Protocol, age, visit::Visit};
use answer::{BadQuery, no_method, refused, text};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use clock::Clock;
use events::Reader;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use innkeeper_auth::{Action, Resource};
use innkeeper_model::{Refusal, Vm};
use list::Kept;
use listeners::Listeners;
use query::{Honours, Query};
use route::Route;
use serde_json::{Value, json};
use status::Status;
use std::sync::Arc;

/// The longest name that a listener gives itself of which anything is kept, in characters.
const MAX_USER_AGENT: usize = 256;

/// The VM as this protocol shows it, as JSON.
pub fn object(vm: &Vm) -> Value {
    query::as_json(vm)
}

/// Puts VMs in the order in which this protocol lists them: the oldest first.
pub fn sort(vms: &mut [Vm]) {
    vms.sort_by_key(|vm| age::of(vm.id, vm));
}

/// The door of triton-vminfod.
#[derive(Debug, Default)]
pub struct Vminfod;

impl Protocol for Vminfod {
    // No route reads one.
    const MAX_BODY: usize = 4 << 10;

    fn door(&self) -> Door {
        Door::Vminfod
    }

    fn router(&self, context: Context) -> Router {
        let (clock, listeners, kept) = (Clock::new(), Listeners::default(), Kept::default());
        let shared = Shared { context, clock, listeners, kept };
        Router::new().fallback(answer).with_state(Arc::new(shared))
    }

    fn needs(&self, _method: &Method, path: &str) -> Option<(Action, Resource)> {
        Some((Action::Read, Route::of(path).resource()))
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        refused(refusal)
    }
}

struct Shared {
    context: Context,
    clock: Clock,
    listeners: Listeners,
    kept: Kept,
}

/// One request, as the routes look at it.
struct Asked<'a> {
    shared: &'a Shared,
    /// The daemon, as far as the caller may see it.
    visit: Visit,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    is_head: bool,
}

impl Asked<'_> {
    fn query(&self) -> Option<&str> {
        self.uri.query()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return no_method();
    }
    let (parts, _) = request.into_parts();
    let visit = match Visit::of(&shared.context, &parts) {
        Ok(visit) => visit,
        Err(refusal) => return refused(&refusal),
    };
    let is_head = parts.method == Method::HEAD;
    let (uri, headers) = (&parts.uri, &parts.headers);
    let asked = Asked { shared: &shared, visit, uri, headers, is_head };
    let mut response = route(&asked).unwrap_or_else(Response::from);
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}

fn route(asked: &Asked<'_>) -> Result<Response, BadQuery> {
    match Route::of(asked.uri.path()) {
        Route::Ping => Ok(ping()),
        Route::Status => Ok(status(asked)),
        Route::Vms => list(asked),
        Route::Vm(name) => vm(asked, name),
        Route::Events => events(asked),
        Route::Nowhere => Ok(text(StatusCode::NOT_FOUND, "Unsupported URL Path")),
    }
}

fn ping() -> Response {
    answer::json(&json!({ "ping": "pong" }))
}

fn status(asked: &Asked<'_>) -> Response {
    let Shared { clock, listeners, .. } = asked.shared;
    let full = is_full(asked.query());
    answer::json(&Status::of(asked.visit.seen().whole(), clock, listeners, full))
}

/// `?full`, alone or with any value at all, `false` included.
fn is_full(query: Option<&str>) -> bool {
    let mut parameters = query.unwrap_or_default().split('&');
    parameters.any(|parameter| match parameter.split_once('=') {
        None => parameter == "full",
        Some((name, value)) => name == "full" && !value.is_empty(),
    })
}

fn list(asked: &Asked<'_>) -> Result<Response, BadQuery> {
    let query = Query::parse(asked.query(), Honours::FieldsAndFilters)?;
    Ok(list::answer(&asked.visit.seen(), query, &asked.shared.kept))
}

fn vm(asked: &Asked<'_>, name: &str) -> Result<Response, BadQuery> {
    let query = Query::parse(asked.query(), Honours::Fields)?;
    let seen = asked.visit.seen();
    let Some(vm) = query::id(name).and_then(|id| seen.vm(id)) else {
        return Ok(text(StatusCode::NOT_FOUND, format!("VM Not Found: {name}")));
    };
    Ok(match query.fields {
        None => answer::whole(StatusCode::OK, list::encoded(vm)),
        Some(fields) => {
            let is_wanted = |key: &str| fields.contains(&key);
            answer::json(&query::members(&list::encoded(vm), is_wanted))
        }
    })
}

fn events(asked: &Asked<'_>) -> Result<Response, BadQuery> {
    let query = Query::parse(asked.query(), Honours::SinceAndFilters)?;
    if asked.is_head {
        return Ok(answer::endless(Body::empty()));
    }
    let listening = asked.shared.listeners.enter(user_agent(asked));
    let reader = Reader::new(&asked.visit, listening, query);
    Ok(answer::endless(reader.into_body()))
}

fn user_agent(asked: &Asked<'_>) -> String {
    let given = asked.headers.get(header::USER_AGENT);
    let text = given.map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    text.chars().take(MAX_USER_AGENT).collect()
}
