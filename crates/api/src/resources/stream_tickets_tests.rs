use super::*;
use crate::{
    gate::Entrance,
    test_support::{Api, Read},
};
use axum::response::Response;
use futures_util::StreamExt;
use http::StatusCode;
use innkeeper_auth::{Doorkeeper, IssuedTokens, NewToken, Role, limits::Quotas};
use serde_json::json;
use std::sync::Arc;

/// The API on TCP, with a viewer's token.
struct Site {
    api: Api,
    viewer: String,
    issued: Arc<IssuedTokens>,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issued = Arc::new(IssuedTokens::open(&folder.path().join("tokens.json")).unwrap());
        let name = "viewer".parse().unwrap();
        let wanted =
            NewToken { name, role: Role::Viewer, project: None, expires: None, privileged: false };
        let (_, text) = issued.create(wanted, "uid:0", Timestamp::now()).unwrap();
        let quotas = Quotas { unauthenticated: "9/h".parse().unwrap(), ..Quotas::default() };
        let doorkeeper = Doorkeeper::default().with_issued(Arc::clone(&issued)).with_limits(quotas);
        let (api, _) = Api::guarded_by(doorkeeper).having(&["web", "db"]).await;
        let viewer = format!("Bearer {}", text.expose().unwrap());
        Self { api, viewer, issued, _folder: folder }
    }

    async fn send(&self, method: &str, uri: &str, shown: Option<&str>, body: String) -> Response {
        let request = Request::builder().method(method).uri(uri).header("host", "localhost");
        let request = match shown {
            Some(shown) => request.header("authorization", shown),
            None => request,
        };
        self.api.call_through(Entrance::Tcp, request.body(body.into()).unwrap()).await
    }

    async fn ask(&self, path: &str) -> Read {
        let body = json!({ "path": path }).to_string();
        Read::of(self.send("POST", "/v1/tickets", Some(&self.viewer), body).await).await
    }

    async fn ticket(&self, path: &str) -> String {
        let issued = self.ask(path).await;
        assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.text);
        issued.json()["ticket"].as_str().unwrap().to_owned()
    }

    async fn get(&self, uri: &str) -> Response {
        self.send("GET", uri, None, String::new()).await
    }

    async fn refused(&self, uri: &str, code: &str) -> Read {
        let read = Read::of(self.get(uri).await).await;
        read.problem(code);
        read
    }
}

#[tokio::test]
async fn a_ticket_opens_a_stream_once_with_whatever_is_asked_of_it() {
    let site = Site::new().await;
    let ticket = site.ticket("/v1/events").await;
    let uri = format!("/v1/events?kind=vm&ticket={ticket}");
    let followed = site.get(&uri).await;
    assert_eq!(followed.status(), StatusCode::OK);
    let mut lines = followed.into_body().into_data_stream();
    let ready = lines.next().await.unwrap().unwrap();
    assert!(ready.starts_with(b"{\"type\":\"ready\""), "{ready:?}");
    site.refused(&uri, "forbidden").await;
    // It is its caller's, and ends with what the caller showed.
    site.issued.revoke(&"viewer".parse().unwrap(), Timestamp::now()).unwrap();
    lines.next().await.unwrap().unwrap_err();
}

#[tokio::test]
async fn whatever_is_wrong_with_a_ticket_the_answer_is_the_same_and_counts() {
    let site = Site::new().await;
    let used = site.ticket("/v1/vms/web/logs").await;
    let log = site.get(&format!("/v1/vms/web/logs?ticket={used}")).await;
    assert_eq!(log.status(), StatusCode::OK);
    let others = site.ticket("/v1/vms/web/logs").await;
    let twice = site.ticket("/v1/events").await;
    let unused = site.ticket("/v1/events").await;
    let mut answers = Vec::new();
    for uri in [
        format!("/v1/vms/web/logs?ticket={used}"),
        format!("/v1/vms/db/logs?ticket={others}"),
        // It was used up by that.
        format!("/v1/vms/web/logs?ticket={others}"),
        format!("/v1/events?ticket={twice}&ticket={twice}"),
        "/v1/events?%74icket=made-up".to_owned(),
        "/v1/tasks/x/events?ticket=made-up".to_owned(),
    ] {
        let refused = site.refused(&uri, "forbidden").await;
        let mut problem = refused.json();
        problem["instance"].take();
        answers.push(problem);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    for _ in 0..3 {
        site.refused("/v1/events?ticket=made-up", "forbidden").await;
    }
    let stopped = site.refused("/v1/events?ticket=made-up", "too-many-requests").await;
    assert!(stopped.headers.contains_key("retry-after"));
    // Whoever has one is not kept out by who guesses.
    assert_eq!(site.get(&format!("/v1/events?ticket={unused}")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_ticket_is_for_a_stream_and_for_nothing_else() {
    let site = Site::new().await;
    for path in [
        "/v1/vms",
        "/v1/vms/web",
        "/v1/vms/web/console",
        "/v1/vms/web/vnc",
        "/v1/vms/web/start",
        "/v1/events/",
        "/v1/events?kind=vm",
        "/v1/tokens",
        "/v2/events",
        "events",
        "",
        &format!("/v1/vms/{}/logs", "x".repeat(600)),
    ] {
        let refused = site.ask(path).await;
        assert_eq!(refused.problem("invalid-field")["field"], "path", "{path}");
    }
    let ticket = site.ticket("/v1/vms/web/logs").await;
    let query = format!("?ticket={ticket}");
    site.refused(&format!("/v1/vms/web{query}"), "unauthenticated").await;
    site.refused(&format!("/v1/vms{query}"), "unauthenticated").await;
    let posted = site.send("POST", &format!("/v1/vms/web/logs{query}"), None, String::new()).await;
    assert_eq!(posted.status(), StatusCode::UNAUTHORIZED);
    // Beside a credential it is not looked at.
    let uri = format!("/v1/vms/web/logs{query}");
    let beside = site.send("GET", &uri, Some(&site.viewer), String::new()).await;
    assert_eq!(beside.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(site.get(&uri).await.status(), StatusCode::OK, "it is good still");
}

#[tokio::test]
async fn a_ticket_may_no_more_than_its_caller_and_dies_with_the_credential() {
    let site = Site::new().await;
    let gone = site.ticket("/v1/vms/nobody/logs").await;
    site.refused(&format!("/v1/vms/nobody/logs?ticket={gone}"), "not-found").await;
    let ticket = site.ticket("/v1/events").await;
    site.issued.revoke(&"viewer".parse().unwrap(), Timestamp::now()).unwrap();
    site.refused(&format!("/v1/events?ticket={ticket}"), "forbidden").await;
}

#[test]
fn a_ticket_goes_no_further_than_the_gate() {
    let without = |uri: &str| without_ticket(&uri.parse().unwrap()).to_string();
    assert_eq!(without("/v1/events?ticket=x"), "/v1/events");
    assert_eq!(
        without("/v1/events?since=1%3A2&ticket=x&kind=vm"),
        "/v1/events?since=1%3A2&kind=vm"
    );
    assert_eq!(without("/v1/events?%74icket=x&a=%26b"), "/v1/events?a=%26b");
}
