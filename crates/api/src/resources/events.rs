//! `/v1/events`: the feed, followed for as long as the reader likes.
//!
//! A reader is a place in the feed and a connection. One that reads too slowly is not waited for and
//! nothing is kept for it: it is told `gap`, with everything as it is then, and goes on from there.

use super::{
    feed::{self, Filter, Framing, Gap, kind_name},
    pulse::Pulse,
};
use crate::{
    protocol::{answer, asked::Follower, params::Params, problem::Answer},
    resources::tasks::vm_id,
    router::ReadProblems,
    visit::Visit,
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, header};
use innkeeper_model::{Change, Code, Position, Refusal, ResourceKind};
use innkeeper_view::{Delivery, Subscription};
use std::convert::Infallible;
use tokio_util::sync::CancellationToken;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const KINDS: [ResourceKind; 5] = [
    ResourceKind::Vm,
    ResourceKind::Task,
    ResourceKind::Image,
    ResourceKind::Network,
    ResourceKind::Host,
];

/// Follow the changes
///
/// An endless answer: a JSON document a line, or server-sent events where `text/event-stream` is
/// accepted. The first is `{"type":"ready","position":P,"revision":N}`. Changes are
/// `{"type":"change",…}`. A reader who was too slow, or whose position is of an earlier run of the daemon,
/// is told `{"type":"gap","position":P,"revision":N,"vms":[…],"tasks":[…],"images":[…],"networks":[…],"host":{…}}`:
/// everything as it is then, in place of what was missed. Every 15 seconds there is at least an empty
/// line.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    operation_id = "followEvents",
    params(
        ("since" = Option<String>, Query, description = "Go on after this position; without it, from now"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers send it; it comes before `since`"),
        ("kind" = Option<String>, Query, description = "Only changes of these kinds, with commas between: vm, task, image, network, host"),
        ("vm" = Option<String>, Query, description = "Only changes of this VM and its tasks: its id or name"),
    ),
    responses(
        (status = 200, description = "Changes", content(
            (Change = "application/x-ndjson"),
            (Change = "text/event-stream"),
        )),
        ReadProblems,
    ),
)]
pub(crate) async fn follow(
    state: Visit,
    mut params: Params,
    follower: Follower,
    headers: HeaderMap,
) -> Answer {
    let since: Option<Position> = params.parsed("since")?;
    let kinds = params.list("kind").unwrap_or_default();
    let vm = params.one("vm")?;
    params.nothing_else()?;
    let since = last_event_id(&headers)?.or(since);
    let seen = state.seen();
    let filter = Filter {
        sight: seen.sight().clone(),
        kinds: kinds.iter().map(|name| named(name)).collect::<Result<_, _>>()?,
        vm: vm.map(|text| vm_id(&seen, &text)).transpose()?,
    };
    check_kinds(&filter)?;
    let framing = framing(&headers);
    let subscription = state.subscribe(since).of(follower.of("events"));
    let reader = Reader::new(subscription, framing, filter, state.stopping().clone());
    let ready = feed::ready(framing, reader.subscription.position(), seen.revision());
    let chunks = stream::unfold((Some(ready), reader), |(ready, mut reader)| async move {
        let chunk = match ready {
            Some(ready) => ready,
            None => reader.next().await?,
        };
        Some((Ok::<_, Infallible>(chunk), (None, reader)))
    });
    Ok(answer::of_type(framing.content_type(), seen.revision(), Body::from_stream(chunks)))
}

/// Refuses to follow what is not there for the caller.
///
/// # Errors
/// It is the host, and the caller is bound to a project.
fn check_kinds(filter: &Filter) -> Result<(), Refusal> {
    let Some(project) = filter.sight.project() else { return Ok(()) };
    if !filter.kinds.contains(&ResourceKind::Host) {
        return Ok(());
    }
    let message = format!("the caller is bound to {project}, whose people are not shown the host");
    Err(Refusal::new(Code::Forbidden, message).at("kind"))
}

/// How a reader wants the feed written.
pub(crate) fn framing(headers: &HeaderMap) -> Framing {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    if accepted.any(|types| types.contains("text/event-stream")) {
        Framing::Events
    } else {
        Framing::Lines
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Refusal> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    match text.parse() {
        Ok(position) => Ok(Some(position)),
        Err(problem) => Err(Refusal::invalid("Last-Event-ID", text, problem)),
    }
}

fn named(name: &str) -> Result<ResourceKind, Refusal> {
    KINDS.into_iter().find(|kind| kind_name(*kind) == name).ok_or_else(|| {
        let known = KINDS.map(kind_name).join(", ");
        Refusal::invalid("kind", name, "is not a kind of thing").with_limit(known)
    })
}

/// One reader of the feed.
struct Reader {
    subscription: Subscription,
    framing: Framing,
    filter: Filter,
    /// What is left to send of a gap.
    gap: Option<Gap>,
    pulse: Pulse,
}

impl Reader {
    fn new(
        subscription: Subscription,
        framing: Framing,
        filter: Filter,
        stopping: CancellationToken,
    ) -> Self {
        Self { subscription, framing, filter, gap: None, pulse: Pulse::new(stopping) }
    }

    /// What the reader is sent next; `None` when the daemon stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.gap.as_mut().and_then(Iterator::next) {
                return Some(chunk);
            }
            self.gap = None;
            let delivery = tokio::select! {
                biased;
                beat = self.pulse.beat() => {
                    beat?;
                    return Some(feed::keep_alive(self.framing, self.subscription.position()));
                }
                delivery = self.subscription.next() => delivery.ok()?,
            };
            match delivery {
                Delivery::Changes(batch) => {
                    if let Some(chunk) = feed::batch(&batch, self.framing, &self.filter) {
                        return Some(chunk);
                    }
                }
                Delivery::Gap(snapshot) => {
                    self.gap = Some(Gap::new(snapshot, self.framing, &self.filter));
                }
            }
        }
    }
}
