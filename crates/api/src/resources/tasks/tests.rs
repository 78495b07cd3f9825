use super::*;
use crate::test_support::{Api, task};
use axum::{body::Body, response::Response};
use futures_util::{Stream, StreamExt};
use http::{Request as HttpRequest, StatusCode};
use innkeeper_view::Update;
use serde_json::{Value, json};

#[test]
fn the_states_are_named_as_in_json() {
    for (state, name) in STATES {
        assert_eq!(serde_json::to_value(state).unwrap(), name);
    }
}

#[tokio::test]
async fn a_task_that_is_listed_no_more_is_read_from_the_history() {
    let api = Api::new();
    let old = task(TaskState::Failed, None);
    api.engine.remember(old.clone());
    for uri in [format!("/v1/tasks/{}", old.id), format!("/v1/tasks/{}?wait=60", old.id)] {
        let read = api.get(&uri).await;
        assert_eq!((read.status, &read.json()["state"]), (StatusCode::OK, &json!("failed")));
    }
    assert_eq!(api.get("/v1/tasks").await.json()["items"], json!([]));
    let forgotten = api.get(&format!("/v1/tasks/{}", TaskId::new())).await.problem("not-found");
    assert!(forgotten["hint"].as_str().unwrap().contains("configuration"));
}

async fn follow(api: &Api, id: TaskId, accept: &str) -> Response {
    let uri = format!("/v1/tasks/{id}/events");
    api.call(HttpRequest::get(uri).header("accept", accept), Body::empty()).await
}

fn pieces(response: Response) -> impl Stream<Item = String> + Unpin {
    let chunks = response.into_body().into_data_stream();
    chunks.map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap())
}

async fn line(pieces: &mut (impl Stream<Item = String> + Unpin)) -> Value {
    let text = pieces.next().await.expect("one more line");
    assert!(text.ends_with('\n') && text.trim_end().lines().count() == 1, "{text:?}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_task_is_followed_from_how_it_is_to_its_end() {
    let api = Api::new();
    let mut followed = task(TaskState::Queued, None);
    api.post(vec![Update::Task(followed.clone())]).await;
    let response = follow(&api, followed.id, "*/*").await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let mut lines = pieces(response);
    let first = line(&mut lines).await;
    assert_eq!((&first["type"], &first["task"]["state"]), (&json!("task"), &json!("queued")));
    assert_eq!(first["revision"], 1);

    // Somebody else's is not told.
    api.post(vec![Update::Task(task(TaskState::Running, None))]).await;
    for (state, percent) in [(TaskState::Running, 10), (TaskState::Running, 20)] {
        followed.state = state;
        followed.percent = Some(percent);
        api.post(vec![Update::Task(followed.clone())]).await;
        let next = line(&mut lines).await;
        assert_eq!(
            (&next["task"]["state"], &next["task"]["percent"]),
            (&json!("running"), &json!(percent))
        );
    }
    // An interrupted task has not ended: somebody may say how it goes on.
    for state in [TaskState::Interrupted, TaskState::Running, TaskState::Failed] {
        followed.state = state;
        api.post(vec![Update::Task(followed.clone())]).await;
        assert_eq!(line(&mut lines).await["task"]["state"], json!(state));
    }
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn an_ended_task_is_told_once_wherever_it_is_kept() {
    let api = Api::new();
    let (shown, kept) = (task(TaskState::Done, None), task(TaskState::Cancelled, None));
    api.post(vec![Update::Task(shown.clone())]).await;
    api.engine.remember(kept.clone());
    for (ended, state) in [(&shown, "done"), (&kept, "cancelled")] {
        let mut lines = pieces(follow(&api, ended.id, "*/*").await);
        assert_eq!(line(&mut lines).await["task"]["state"], state);
        assert_eq!(lines.next().await, None);
    }
    api.get(&format!("/v1/tasks/{}/events", TaskId::new())).await.problem("not-found");
    api.get(&format!("/v1/tasks/{}/events?since=x", shown.id)).await.problem("invalid-field");
}

#[tokio::test]
async fn browsers_follow_a_task_as_events_and_the_daemons_end_ends_them() {
    let api = Api::new();
    let running = task(TaskState::Running, None);
    api.post(vec![Update::Task(running.clone())]).await;
    let response = follow(&api, running.id, "text/event-stream").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = pieces(response);
    let event = events.next().await.unwrap();
    let (id, rest) = event.split_once('\n').unwrap();
    assert!(id.starts_with("id: ") && id.ends_with("-1"), "{id}");
    assert!(rest.starts_with("event: task\ndata: {\"type\":\"task\""), "{rest}");
    assert!(rest.ends_with("}\n\n"), "{rest}");
    api.stopping.cancel();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn an_interrupted_task_goes_on_or_back_by_a_persons_word() {
    let api = Api::new();
    let (stuck, over) = (task(TaskState::Interrupted, None), task(TaskState::Done, None));
    api.post([&stuck, &over].map(|task| Update::Task(task.clone())).into()).await;
    for (word, resolution) in [("resume", "Resume"), ("undo", "Undo")] {
        let answer = api.send("POST", &format!("/v1/tasks/{}/{word}", stuck.id), "").await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        assert_eq!(answer.json()["task"]["id"], json!(stuck.id));
        let noted = format!("uid:1000: {resolution} {}", stuck.id);
        assert_eq!(api.engine.done_by_hand(), [noted]);
        let late = api.send("POST", &format!("/v1/tasks/{}/{word}", over.id), "").await;
        late.problem("wrong-state");
        let unknown = api.send("POST", &format!("/v1/tasks/{}/{word}", TaskId::new()), "").await;
        unknown.problem("not-found");
    }
    assert_eq!(api.engine.done_by_hand(), [""; 0]);
}
