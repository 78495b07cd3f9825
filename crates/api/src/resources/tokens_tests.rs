use crate::test_support::Api;
use innkeeper_auth::{Doorkeeper, IssuedTokens};
use std::sync::Arc;

fn api() -> (Api, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let issued = IssuedTokens::open(&folder.path().join("tokens.json")).unwrap();
    (Api::guarded_by(Doorkeeper::default().with_issued(Arc::new(issued))), folder)
}

#[tokio::test]
async fn a_tokens_text_is_in_the_answer_to_its_creation_and_in_no_other() {
    let (api, folder) = api();
    let wanted = r#"{ "name": "ci", "role": "owner", "project": "web", "privileged": true }"#;
    let created = api.send("POST", "/v1/tokens", wanted).await;
    assert_eq!(
        (created.status, created.header("cache-control")),
        (201.try_into().unwrap(), "no-store")
    );
    let created = created.json();
    let text = created["text"].as_str().unwrap();
    assert!(text.starts_with("inn_") && text.len() == 47);
    let token = &created["token"];
    assert_eq!((&token["role"], &token["project"]), (&"owner".into(), &"web".into()));
    assert_eq!((&token["state"], &token["created_by"]), (&"valid".into(), &"uid:1000".into()));

    let list = api.get("/v1/tokens").await;
    assert_eq!(list.json()["items"], serde_json::json!([token]));
    let revoked = api.send("DELETE", "/v1/tokens/ci", "").await;
    assert_eq!(revoked.json()["state"], "revoked");
    let stored = std::fs::read_to_string(folder.path().join("tokens.json")).unwrap();
    for shown in [&list.text, &revoked.text, &stored] {
        assert!(!shown.contains(text), "{shown}");
    }
    assert_eq!(api.get("/v1/tokens").await.json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn what_no_token_can_be_is_refused_by_its_field() {
    let (api, _folder) = api();
    for (body, field) in [
        (r#"{ "name": "a b", "role": "viewer" }"#, "name"),
        (r#"{ "name": "a", "role": "root" }"#, "role"),
        (r#"{ "name": "a", "role": "owner" }"#, "project"),
        (r#"{ "name": "a", "role": "viewer", "expires": "2001-01-01T00:00:00Z" }"#, "expires"),
        (r#"{ "name": "a", "role": "viewer", "expire": "2001-01-01T00:00:00Z" }"#, "expire"),
    ] {
        let problem = api.send("POST", "/v1/tokens", body).await.problem("invalid-field");
        assert_eq!(problem["field"], field, "{problem}");
    }
    for name in ["nobody", "a%20b"] {
        api.send("DELETE", &format!("/v1/tokens/{name}"), "").await.problem("not-found");
    }
    let body = r#"{ "name": "a", "role": "viewer" }"#;
    assert_eq!(api.send("POST", "/v1/tokens", body).await.status, 201);
    api.send("POST", "/v1/tokens", body).await.problem("name-taken");
}

#[tokio::test]
async fn a_server_that_only_shows_issues_none() {
    Api::new().get("/v1/tokens").await.problem("unsupported");
}
