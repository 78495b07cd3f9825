//! `/v1/tasks/{id}/events`: one task, each time it changes, until it has ended.
//!
//! Every line has the whole task, so a reader needs no line but the last, and one that is too slow
//! misses steps in between but never how things are.

use super::task_id;
use crate::{
    protocol::{
        answer,
        asked::{Follower, Segment},
        mutation,
        params::Params,
        problem::Answer,
    },
    resources::{
        events::framing,
        feed::{self, Framing},
        pulse::Pulse,
    },
    router::ReadProblems,
    visit::Visit,
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use innkeeper_model::{Position, Revision, Task, TaskId};
use innkeeper_view::{Batch, Delivery, Snapshot, Subject, Subscription};
use serde::Serialize;
use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};
use utoipa::ToSchema;

/// How long the end of a task is waited for to be settled: that readers see all that it did, and that
/// what it held is free. That takes moments.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// A task, as it is from a revision on.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskNotice {
    /// `task`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Where in the feed this is.
    #[schema(value_type = String)]
    position: Position,
    /// The view's revision from which on it can be read.
    #[schema(value_type = u64)]
    revision: Revision,
    /// All of it.
    #[schema(value_type = Task)]
    task: Arc<Task>,
}

/// Follow a task
///
/// A JSON document a line, or server-sent events where `text/event-stream` is accepted:
/// `{"type":"task","position":P,"revision":N,"task":{…}}`. The first is the task as it is; then it comes
/// whole each time it changes. The answer ends when the task has ended and its effects can be read; an
/// answer that ends before the task does so because the daemon stops. An interrupted task has not ended:
/// somebody may resume or undo it. Every 15 seconds there is at least an empty line.
#[utoipa::path(
    get,
    path = "/v1/tasks/{id}/events",
    tag = "tasks",
    operation_id = "followTask",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The task, again and again", content(
            (TaskNotice = "application/x-ndjson"),
            (TaskNotice = "text/event-stream"),
        )),
        ReadProblems,
    ),
)]
pub(crate) async fn follow(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    follower: Follower,
    headers: HeaderMap,
) -> Answer {
    params.nothing_else()?;
    let id = task_id(&state, &text).await?;
    let framing = framing(&headers);
    // Before the task is read, so that nothing that comes after it is missed.
    let subscription = state.subscribe(None).of(follower.of(&format!("task {id}")));
    let task = mutation::ended(&state, id, Duration::ZERO).await?;
    let seen = state.seen();
    let mut reader = Reader::new(id, subscription, framing, state);
    reader.tell(seen.position(), task).await;
    let chunks = stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((Ok::<_, Infallible>(chunk), reader))
    });
    Ok(answer::of_type(framing.content_type(), seen.revision(), Body::from_stream(chunks)))
}

/// One reader of one task.
struct Reader {
    id: TaskId,
    state: Visit,
    subscription: Subscription,
    framing: Framing,
    pulse: Pulse,
    /// The task's revision that was told last.
    told: Revision,
    /// What is left to send.
    chunks: VecDeque<Bytes>,
    over: bool,
}

impl Reader {
    fn new(id: TaskId, subscription: Subscription, framing: Framing, state: Visit) -> Self {
        let pulse = Pulse::new(state.stopping().clone());
        let (told, chunks, over) = (Revision::default(), VecDeque::new(), false);
        Self { id, state, subscription, framing, pulse, told, chunks, over }
    }

    /// What the reader is sent next; `None` after the task's end, or when the daemon stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.chunks.pop_front() {
                return Some(chunk);
            }
            if self.over {
                return None;
            }
            let delivery = tokio::select! {
                biased;
                beat = self.pulse.beat() => {
                    beat?;
                    return Some(feed::keep_alive(self.framing, self.subscription.position()));
                }
                delivery = self.subscription.next() => delivery.ok()?,
            };
            match delivery {
                Delivery::Changes(batch) => self.tell_changes(&batch).await,
                Delivery::Gap(snapshot) => self.tell_all(&snapshot).await,
            }
        }
    }

    async fn tell_changes(&mut self, batch: &Batch) {
        for entry in batch.entries() {
            let Subject::Task(transition) = &entry.subject else { continue };
            if transition.latest().id == self.id && !self.over {
                self.tell(entry.position, transition.latest().clone()).await;
            }
        }
    }

    /// Whatever happened meanwhile, this is how it is.
    async fn tell_all(&mut self, snapshot: &Snapshot) {
        let known = snapshot.tasks.get(&self.id).map(|record| record.value().clone());
        let task = match known {
            Some(task) => Some(task),
            None => self.state.operations().task(self.id).await.map(Arc::new),
        };
        match task {
            Some(task) => self.tell(snapshot.position(), task).await,
            None => self.over = true,
        }
    }

    async fn tell(&mut self, position: Position, mut task: Arc<Task>) {
        let first = self.told == Revision::default() && self.chunks.is_empty();
        if task.revision <= self.told && !first {
            return;
        }
        self.told = task.revision;
        self.over = task.state.is_final();
        let mut revision = Revision(position.sequence);
        if self.over && task.settled_at.is_none() {
            let settled = self.state.operations().wait(self.id, SETTLES_WITHIN).await;
            task = settled.map_or(task, Arc::new);
            revision = revision.max(task.settled_at.unwrap_or_default());
        }
        let notice = TaskNotice { kind: "task", position, revision, task };
        let mut line = answer::encode(&notice).to_vec();
        line.push(b'\n');
        self.chunks.push_back(feed::framed(self.framing, position, "task", line.into()));
    }
}
